"""Rewrites log records and requests with other names in them, in their own layout: which part of them is what."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from harness.disguise import Disguise
from harness.model import SERVER_ACCESS, Record

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?')
_HOST = re.compile(r"(.+?)\.(s3[a-z0-9-]*\..*)", re.DOTALL)
_SERVICE_PATH = re.compile(r"/v\d{8}/[a-z-]+")
_BLANKS = re.compile(r"[ \t\r\n\x0b\x0c]*")
_DIGITS = re.compile(r"\d+")
_COPY_SOURCE = re.compile(r"(/|%2F)?(.*?)(/|%2F)(.*?)(?:(\?versionId=)(.*))?", re.IGNORECASE | re.DOTALL)
_KEPT = re.compile(
    "time|operation|http_status|error_code|bytes_sent|object_size|total_time|turn_around_time|signature_version|"
    "cipher_suite|authentication_type|tls_version|acl_required|source_region"
)
"""Fields of a server access line that hold no name."""
_NAMES = re.compile(
    "bucket_owner|bucket_owner_id|request_id|host_id|version_id|key|key_name|sequencer|etag|configurationid|prefix|marker|startafter|start-after|keymarker|key-marker|uploadid|"
    "upload-id-marker|versionid|version-id-marker|x-amz-version-id|continuation-token|clienttoken|requestid|eventid|"
    "sharedeventid|x-amz-id-2|annotationname|id|value"
)
"""Fields, query parameters and JSON members (in lower case) that are one name as a whole."""
_RESOURCES = re.compile("bucket|bucket_name|bucketname|username|sessionname|name|tablename")
_PRINCIPALS = re.compile("principalid|accesskeyid")


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Knows where names stand in each format; what becomes of them is the disguise's matter."""

    disguise: Disguise

    def record(self, record: Record) -> str | None:
        """Return the text of a record with other names; None where it does not have the layout that was parsed."""
        return self._access_line(record) if record.channel == SERVER_ACCESS else self._event(record.raw)

    def host(self, text: str) -> str:
        """Rewrite a host name: the bucket or access point before the service's own domain."""
        named = _HOST.fullmatch(text)
        return f"{self.disguise.resource(named[1])}.{named[2]}" if named else self.disguise.free(text)

    def target(self, target: str, bucket: str | None, host: str) -> str:
        """Rewrite path and query of a request; in path style the bucket's name leads the path."""
        path, mark, query = target.partition("?")
        service = _SERVICE_PATH.match(path)
        if service:
            rest = re.split("(/)", path[service.end() :])
            path = service[0] + "".join(map(self.disguise.whole, rest))
        elif bucket and not host.startswith(f"{bucket}.") and path[1 : len(bucket) + 2].rstrip("/") == bucket:
            path = f"/{self.disguise.resource(bucket)}{self._tail(path[len(bucket) + 1 :])}"
        else:
            path = self._tail(path)
        pairs = (part.partition("=") for part in query.split("&"))
        free = self.disguise.free
        return path + mark + "&".join(free(name) + equals + self.member(name, value) for name, equals, value in pairs)

    def member(self, name: str, text: str) -> str:
        """Rewrite the value of a field, a query parameter or a JSON member by its name."""
        name = name.lower()
        if text.startswith("arn:"):
            new = self.disguise.free(text)
        elif _NAMES.fullmatch(name):
            new = self.disguise.whole(text)
        elif _RESOURCES.fullmatch(name):
            new = self.disguise.resource(text)
        elif name in ("host", "host_header"):
            new = self.host(text)
        elif _PRINCIPALS.fullmatch(name):
            first, colon, session = text.partition(":")
            new = self.disguise.free(first)
            new = (new if new != first else self.disguise.whole(first)) + colon + self.disguise.resource(session)
        elif name == "request_uri":
            method, _, rest = text.partition(" ")
            target, blank, protocol = rest.rpartition(" ")
            new = f"{method} {self.target(target, None, '')}{blank}{protocol}"
        elif name == "referer":
            scheme, mark, rest = text.rpartition("://")
            new = scheme + mark + self.disguise.whole(rest)
        elif name == "x-amz-copy-source" and (cut := _COPY_SOURCE.fullmatch(text)):
            source = (cut[1] or "", self.disguise.resource(cut[2]), cut[3], self.disguise.whole(cut[4]))
            new = "".join([*source, cut[5] or "", self.disguise.whole(cut[6] or "")])
        else:
            new = self.disguise.free(text)
        return new

    def _tail(self, path: str) -> str:
        return path[:1] + self.disguise.whole(path[1:])

    def _access_line(self, record: Record) -> str | None:
        made: list[str] = []
        raw, position = record.raw, 0
        host = str(record.fields.get("host_header") or "")
        for name, value in record.fields.items():
            if name == "field_count":
                continue
            gap = _BLANKS.match(raw, position)
            start = gap.end() if gap else position
            start += raw[start : start + 1] in ('"', "[")
            digits = _DIGITS.match(raw, start) if isinstance(value, int) else None
            text = digits[0] if digits else "-" if value is None else str(value)
            if not raw.startswith(text, start):
                return None
            made.append(raw[position:start])
            if name == "request_uri" and value is not None:
                method, _, rest = text.partition(" ")
                target, blank, protocol = rest.rpartition(" ")
                made.append(f"{method} {self.target(target, record.bucket, host)}{blank}{protocol}")
            else:
                made.append(text if value is None or _KEPT.fullmatch(name) else self.member(name, text))
            end = start + len(text)
            position = end + (raw[end : end + 1] in ('"', "]"))
            made.append(raw[end:position])
        return "".join([*made, raw[position:]])

    def _event(self, raw: str) -> str:
        """Rewrite a JSON record text by text; each belongs to the last member's name before it."""
        member = ""

        def rewritten(found: re.Match[str]) -> str:
            nonlocal member
            literal = found[0][: len(found[0]) - len(found[1] or "")]
            text = json.loads(literal, strict=False)
            new = self.disguise.free(text) if found[1] else self.member(member, text)
            member = text if found[1] else member
            if new == text:
                return found[0]
            written = json.dumps(new, ensure_ascii=literal.isascii()) + (found[1] or "")
            return written.replace("/", "\\/") if "\\/" in literal else written

        return _TEXT.sub(rewritten, raw)
