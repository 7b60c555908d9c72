"""The configurations that moto lacks, or keeps only in part: stored as they were put, returned as AWS shapes them.

A body that is not well-formed XML is refused; nothing is invented beyond what a reply's shape requires.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from harness.embedded.wire import Request

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_MAX_DEPTH = 64
ET.register_namespace("", NAMESPACE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers: status, headers, body."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class RefusedError(Exception):
    """The request is answered with an S3 error: code, message, HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def document(root: str, inner: str) -> bytes:
    """Return an S3 XML document."""
    return f'{_DECLARATION}<{root} xmlns="{NAMESPACE}">{inner}</{root}>'.encode()


def local_name(element: ET.Element) -> str:
    """Return a tag without its namespace."""
    return element.tag.rpartition("}")[2]


def parse_body(body: bytes) -> ET.Element:
    """Parse an XML request body.

    Raises:
        RefusedError: MalformedXML, also for a document type declaration: entity bombs are not expanded.
    """
    try:
        if any(mark in body.replace(b"\0", b"") for mark in (b"<!DOCTYPE", b"<!ENTITY")):
            raise ET.ParseError("document type declaration")
        root = ET.fromstring(body)  # noqa: S314 - declarations are refused above
        level, depth = [root], 0
        while level:
            level, depth = [child for element in level for child in element], depth + 1
            if depth > _MAX_DEPTH:
                raise ET.ParseError("nested too deeply")
        return root
    except ET.ParseError as error:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise RefusedError("MalformedXML", message, 400) from error


def child_text(root: ET.Element, name: str) -> str | None:
    """Return the text of the first descendant of that local name, or None."""
    return next((e.text or "" for e in root.iter() if local_name(e) == name), None)


def inner_xml(root: ET.Element) -> str:
    """Return a root's children as XML text without namespaces."""
    parts = []
    for element in root:
        for node in element.iter():
            node.tag = local_name(node)
        parts.append(ET.tostring(element, encoding="unicode"))
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _ById:
    """A family of configurations named by ``?id=``: Put, Get, List, Delete."""

    root: str
    list_root: str


_BY_ID = {
    "AnalyticsConfiguration": _ById("AnalyticsConfiguration", "ListBucketAnalyticsConfigurationResult"),
    "MetricsConfiguration": _ById("MetricsConfiguration", "ListMetricsConfigurationsResult"),
    "InventoryConfiguration": _ById("InventoryConfiguration", "ListInventoryConfigurationsResult"),
    "IntelligentTieringConfiguration": _ById(
        "IntelligentTieringConfiguration", "ListBucketIntelligentTieringConfigurationsOutput"
    ),
}
_METADATA_UPDATES = {
    "UpdateBucketMetadataInventoryTableConfiguration": "InventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration": "JournalTableConfiguration",
    "UpdateBucketMetadataAnnotationTableConfiguration": "AnnotationTableConfiguration",
}


@dataclass(slots=True)
class Configurations:
    """State by (bucket, family, id): ``by_key`` holds XML roots, ``annotations`` payloads of objects."""

    object_exists: Callable[[str, str], bool]
    lock_of: Callable[[str, str, str | None], tuple[str, str] | None]
    now: Callable[[], datetime]
    by_key: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    annotations: dict[tuple[str, str, str], tuple[bytes, datetime]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def forget(self, bucket: str) -> None:
        """Drop everything of a deleted bucket."""
        with self._lock:
            self.by_key = {k: v for k, v in self.by_key.items() if k[0] != bucket}
            self.annotations = {k: v for k, v in self.annotations.items() if k[0] != bucket}

    def forget_object(self, bucket: str, key: str) -> None:
        """Drop what was kept for an object that is no more, or another."""
        with self._lock:
            self.by_key.pop((bucket, "ObjectEncryption", key), None)
            self.annotations = {k: v for k, v in self.annotations.items() if k[:2] != (bucket, key)}

    def keep(self, bucket: str, family: str, body: bytes) -> None:
        """Keep a body that moto accepted but does not keep whole."""
        with self._lock:
            self.by_key[bucket, family, ""] = body

    def kept(self, bucket: str, family: str) -> bytes | None:
        """Return a body kept for a bucket, or None."""
        return self.by_key.get((bucket, family, ""))

    def answer(self, operation: str, request: Request) -> Reply | None:
        """Answer an operation that this store serves.

        Returns:
            None for every other operation.

        Raises:
            RefusedError: as S3 would refuse it.
        """
        bucket = request.bucket or ""
        with self._lock:
            for family, shape in _BY_ID.items():
                if family in operation:
                    return self._by_id(operation, request, bucket, family, shape)
            if operation in _METADATA_UPDATES:
                return self._update_metadata(request, bucket, _METADATA_UPDATES[operation])
            if "Annotation" in operation:
                return self._annotation(operation, request, bucket)
            handler = getattr(self, "_" + operation, None)
            return handler(request, bucket) if handler else None

    def _by_id(self, operation: str, request: Request, bucket: str, family: str, shape: _ById) -> Reply:
        name = request.param("id") or ""
        if operation.startswith("Put"):
            root = parse_body(request.body)
            if local_name(root) != shape.root:
                raise RefusedError("MalformedXML", f"The root element is not {shape.root}", 400)
            if child_text(root, "Id") != name:
                raise RefusedError("InvalidArgument", "The Id in the request and in the body differ", 400)
            self.by_key[bucket, family, name] = request.body
            return Reply(200)
        if operation.startswith("List"):
            mine = sorted(k for k in self.by_key if k[0] == bucket and k[1] == family)
            items = [f"<{shape.root}>{inner_xml(parse_body(self.by_key[k]))}</{shape.root}>" for k in mine]
            return Reply(200, document(shape.list_root, "<IsTruncated>false</IsTruncated>" + "".join(items)))
        if (bucket, family, name) not in self.by_key:
            raise RefusedError("NoSuchConfiguration", "The specified configuration does not exist.", 404)
        if operation.startswith("Delete"):
            del self.by_key[bucket, family, name]
            return Reply(204)
        return Reply(200, document(shape.root, inner_xml(parse_body(self.by_key[bucket, family, name]))))

    def _put_whole(self, request: Request, bucket: str, family: str, status: int = 200) -> Reply:
        parse_body(request.body)
        self.by_key[bucket, family, ""] = request.body
        return Reply(status)

    def _PutBucketAbac(self, request: Request, bucket: str) -> Reply:
        return self._put_whole(request, bucket, "Abac")

    def _GetBucketAbac(self, _request: Request, bucket: str) -> Reply:
        body = self.kept(bucket, "Abac")
        inner = inner_xml(parse_body(body)) if body else "<Status>Disabled</Status>"
        return Reply(200, document("AbacStatus", inner))

    def _PutBucketRequestPayment(self, request: Request, bucket: str) -> Reply:
        if child_text(parse_body(request.body), "Payer") not in ("Requester", "BucketOwner"):
            raise RefusedError("MalformedXML", "Payer is Requester or BucketOwner", 400)
        return self._put_whole(request, bucket, "RequestPayment")

    def _GetBucketRequestPayment(self, _request: Request, bucket: str) -> Reply:
        body = self.kept(bucket, "RequestPayment")
        inner = inner_xml(parse_body(body)) if body else "<Payer>BucketOwner</Payer>"
        return Reply(200, document("RequestPaymentConfiguration", inner))

    def _GetBucketNotificationConfiguration(self, _request: Request, bucket: str) -> Reply | None:
        body = self.kept(bucket, "Notification")
        return Reply(200, document("NotificationConfiguration", inner_xml(parse_body(body)))) if body else None

    def _GetBucketLogging(self, _request: Request, bucket: str) -> Reply | None:
        body = self.kept(bucket, "Logging")
        return Reply(200, document("BucketLoggingStatus", inner_xml(parse_body(body)))) if body else None

    def _CreateBucketMetadataTableConfiguration(self, request: Request, bucket: str) -> Reply:
        return self._put_whole(request, bucket, "MetadataTable")

    def _GetBucketMetadataTableConfiguration(self, _request: Request, bucket: str) -> Reply:
        root = parse_body(self._existing(bucket, "MetadataTable"))
        arn, name = child_text(root, "TableBucketArn") or "", child_text(root, "TableName") or ""
        inner = (
            "<MetadataTableConfigurationResult><S3TablesDestinationResult>"
            f"<TableBucketArn>{escape(arn)}</TableBucketArn><TableName>{escape(name)}</TableName>"
            f"<TableArn>{escape(arn)}/table/{escape(name)}</TableArn><TableNamespace>aws_s3_metadata</TableNamespace>"
            "</S3TablesDestinationResult></MetadataTableConfigurationResult><Status>ACTIVE</Status>"
        )
        return Reply(200, document("GetBucketMetadataTableConfigurationResult", inner))

    def _DeleteBucketMetadataTableConfiguration(self, _request: Request, bucket: str) -> Reply:
        return self._delete(bucket, "MetadataTable")

    def _CreateBucketMetadataConfiguration(self, request: Request, bucket: str) -> Reply:
        return self._put_whole(request, bucket, "Metadata")

    def _GetBucketMetadataConfiguration(self, _request: Request, bucket: str) -> Reply:
        root = parse_body(self._existing(bucket, "Metadata"))
        tables = []
        for kind in ("Journal", "Inventory", "Annotation"):
            update = self.kept(bucket, f"{kind}TableConfiguration")
            created = next((e for e in root if local_name(e) == f"{kind}TableConfiguration"), None)
            source = parse_body(update) if update else created
            if source is None:
                continue
            state = child_text(source, "ConfigurationState")
            inner = f"<ConfigurationState>{escape(state)}</ConfigurationState>" if state else ""
            expiration = next((e for e in source if local_name(e) == "RecordExpiration"), None)
            if expiration is not None:
                inner += f"<RecordExpiration>{inner_xml(expiration)}</RecordExpiration>"
            name = f"<TableName>{kind.lower()}</TableName>"
            status = "<TableStatus>ACTIVE</TableStatus>"
            tables.append(f"<{kind}TableConfigurationResult>{inner}{status}{name}</{kind}TableConfigurationResult>")
        destination = "<DestinationResult><TableBucketType>aws</TableBucketType></DestinationResult>"
        inner = f"<MetadataConfigurationResult>{destination}{''.join(tables)}</MetadataConfigurationResult>"
        return Reply(200, document("GetBucketMetadataConfigurationResult", inner))

    def _DeleteBucketMetadataConfiguration(self, _request: Request, bucket: str) -> Reply:
        for kind in ("Journal", "Inventory", "Annotation"):
            self.by_key.pop((bucket, f"{kind}TableConfiguration", ""), None)
        return self._delete(bucket, "Metadata")

    def _update_metadata(self, request: Request, bucket: str, family: str) -> Reply:
        self._existing(bucket, "Metadata")
        return self._put_whole(request, bucket, family)

    def _existing(self, bucket: str, family: str) -> bytes:
        body = self.kept(bucket, family)
        if body is None:
            raise RefusedError("MetadataConfigurationNotFound", "The metadata configuration does not exist", 404)
        return body

    def _delete(self, bucket: str, family: str) -> Reply:
        self._existing(bucket, family)
        del self.by_key[bucket, family, ""]
        return Reply(204)

    def _existing_object(self, request: Request, bucket: str) -> str:
        key = request.key or ""
        if not self.object_exists(bucket, key):
            raise RefusedError("NoSuchKey", "The specified key does not exist.", 404)
        return key

    def _UpdateObjectEncryption(self, request: Request, bucket: str) -> Reply:
        key = self._existing_object(request, bucket)
        parse_body(request.body)
        self.by_key[bucket, "ObjectEncryption", key] = request.body
        return Reply(200)

    def _GetObjectRetention(self, request: Request, bucket: str) -> Reply:
        lock = self.lock_of(bucket, self._existing_object(request, bucket), request.param("versionId"))
        if lock is None:
            message = "The specified object does not have a ObjectLock configuration"
            raise RefusedError("NoSuchObjectLockConfiguration", message, 404)
        inner = f"<Mode>{escape(lock[0])}</Mode><RetainUntilDate>{escape(lock[1])}</RetainUntilDate>"
        return Reply(200, document("Retention", inner))

    def _annotation(self, operation: str, request: Request, bucket: str) -> Reply:
        key = self._existing_object(request, bucket)
        name = request.param("annotationName") or ""
        if operation == "PutObjectAnnotation":
            payload = without_chunk_framing(request)
            self.annotations[bucket, key, name] = (payload, self.now())
            inner = f"<Key>{escape(key)}</Key><AnnotationName>{escape(name)}</AnnotationName>"
            return Reply(200, document("PutObjectAnnotationOutput", inner), (("ETag", _etag(payload)),))
        if operation == "ListObjectAnnotations":
            prefix = request.param("annotation-prefix") or ""
            mine = [k for k in sorted(self.annotations) if k[:2] == (bucket, key) and k[2].startswith(prefix)]
            inner = "".join(_annotation_entry(k[2], *self.annotations[k]) for k in mine)
            inner = f"<Annotations>{inner}</Annotations><Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
            inner += f"<AnnotationCount>{len(mine)}</AnnotationCount>"
            return Reply(200, document("ListObjectAnnotationsOutput", inner))
        if (bucket, key, name) not in self.annotations:
            raise RefusedError("NoSuchAnnotation", "The specified annotation does not exist.", 404)
        if operation == "DeleteObjectAnnotation":
            del self.annotations[bucket, key, name]
            return Reply(204)
        payload, changed = self.annotations[bucket, key, name]
        modified = changed.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return Reply(200, payload, (("ETag", _etag(payload)), ("Last-Modified", modified)))


def _etag(payload: bytes) -> str:
    return f'"{hashlib.md5(payload, usedforsecurity=False).hexdigest()}"'


def _annotation_entry(name: str, payload: bytes, changed: datetime) -> str:
    return (
        f"<AnnotationEntry><AnnotationName>{escape(name)}</AnnotationName>"
        f"<LastModified>{changed:%Y-%m-%dT%H:%M:%S.000Z}</LastModified><ETag>{escape(_etag(payload))}</ETag>"
        f"<Size>{len(payload)}</Size></AnnotationEntry>"
    )


def without_chunk_framing(request: Request) -> bytes:
    """Return the payload of a body sent as ``aws-chunked`` (chunks and trailers), or the body as it is."""
    if "x-amz-decoded-content-length" not in request.headers:
        return request.body
    payload, rest = b"", request.body
    while rest:
        size_line, _, rest = rest.partition(b"\r\n")
        size = int(size_line.split(b";")[0] or b"0", 16)
        if size == 0:
            break
        payload, rest = payload + rest[:size], rest[size + 2 :]
    return payload
