// Returns the least contrast (WCAG 2) of each kind of visible text on a page with what is behind it.
() => {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ratio = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const opaque = (colour) => colour.length < 4 || colour[3] === 1;
  const grounds = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { backgroundImage, backgroundColor } = getComputedStyle(at);
      if (backgroundImage !== "none") {
        // Thin translucent lines of a pattern are no ground; what is below them is.
        const colours = (backgroundImage.match(/rgba?\([^)]*\)/g) ?? []).map(parse).filter(opaque);
        return opaque(parse(backgroundColor)) ? [...colours, parse(backgroundColor)] : colours;
      }
      if (opaque(parse(backgroundColor))) return [parse(backgroundColor)];
    }
    return [[255, 255, 255]];
  };
  const worst = {};
  const texts = ".cell b, .cell .name, .cell .delay, .note, .provenance, .figure small, .mark, th, td, .more, a, dt, figcaption";
  for (const element of document.querySelectorAll(texts)) {
    if (!element.checkVisibility() || element.closest(".dim")) continue;
    const kind = `${element.tagName}.${element.className} in ${element.closest(".cell")?.className ?? "the page"}`;
    for (const ground of grounds(element)) {
      worst[kind] = Math.min(worst[kind] ?? 99, ratio(parse(getComputedStyle(element).color), ground));
    }
  }
  return worst;
}
