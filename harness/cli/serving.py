"""``serve``: the embedded server for any AWS client."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.application import app
from harness.cli.options import (
    split,
)
from harness.errors import LogjamError
from harness.targets.embedded import ACCESS_KEY_ID, DEFAULT_FACTOR, NOTE, SECRET_ACCESS_KEY, EmbeddedTarget

if TYPE_CHECKING:
    pass


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 for a free one.")] = 0,
    factor: Annotated[
        float, typer.Option(min=1, help="How many times as fast the server's clock runs.")
    ] = DEFAULT_FACTOR,
    seed: Annotated[int, typer.Option(help="Repeats delays and ids.")] = 1,
    behaviour: Annotated[
        list[str] | None, typer.Option(help="Take another side, e.g. form-post=PostObject (docs/embedded.md).")
    ] = None,
) -> None:
    """Serve S3, CloudTrail, IAM and STS on loopback until Ctrl+C; access logs and trails are really delivered.

    Point any AWS client at it: `aws --endpoint-url http://127.0.0.1:PORT …` (docs/embedded.md walks through it).
    """
    with EmbeddedTarget(seed=seed, factor=factor, port=port, behaviours=split(behaviour)) as target:
        assert target.server is not None
        typer.echo(f"Serving on http://127.0.0.1:{target.server.port} ({NOTE}; clock x{factor:g}). Ctrl+C ends it.")
        typer.echo(f"export AWS_ENDPOINT_URL=http://127.0.0.1:{target.server.port} AWS_DEFAULT_REGION={target.region}")
        typer.echo(f"export AWS_ACCESS_KEY_ID={ACCESS_KEY_ID} AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}")
        with suppress(KeyboardInterrupt):
            while target.server.process.poll() is None:
                time.sleep(0.2)
        if target.server.process.poll() is not None:
            raise LogjamError(f"the embedded server ended by itself: {target.server.errors.strip() or 'no message'}")
