"""Request forms that botocore has no name for: what browsers, websites and old or wrong clients send."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from harness.scenario import Records, StoredObject, Surroundings, fixture, scenario
from scenarios.fixtures import BODY

ORIGIN = "https://example.com"
PAGE = b"<h1>s3logjam</h1>\n"
NO_BUCKET = Records(server_access=0, cloudtrail=0)
WEBSITE_IAM = ("s3:PutBucketWebsite", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutObject")
# Whether CloudTrail has requests to website endpoints is confirmed nowhere (S3 samples hold none).
WEBSITE = Records(server_access=1, cloudtrail=0)


@dataclass(frozen=True)
class Website:
    """A public website bucket."""

    bucket: str
    url: str


@fixture(iam=WEBSITE_IAM)
def website(s3: Any, surroundings: Surroundings) -> Website:
    """A bucket of its own with a website: its one page is public on purpose, and deleted with the run."""
    bucket = surroundings.new_bucket()
    s3.delete_public_access_block(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    pages = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=pages)
    for name in ("index.html", "error.html"):
        s3.put_object(Bucket=bucket, Key=name, Body=PAGE, ContentType="text/html")
    return Website(bucket, f"http://{bucket}.s3-website-{surroundings.region}.amazonaws.com")


@fixture(iam=["s3:PutBucketCORS"])
def cors_bucket(s3: Any, surroundings: Surroundings) -> str:
    """A bucket of its own that allows GET from one origin."""
    bucket = surroundings.new_bucket()
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": [ORIGIN]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    return bucket


def address(surroundings: Surroundings, bucket: str, path: str = "/") -> str:
    """Return the URL of a path in a bucket."""
    return f"https://{bucket}.s3.{surroundings.region}.amazonaws.com{path}"


def form(fields: dict[str, str], content: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a multipart/form-data post, the file last as S3 wants it."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="page.html"\r\nContent-Type: text/html'
    parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode())
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, b"".join(parts)


def post(send: Any, s3: Any, bucket: str, key: str, change: dict[str, str] | None = None) -> None:
    """Post a form with a signed policy, with some fields changed after signing."""
    signed = s3.generate_presigned_post(bucket, key, Conditions=[["content-length-range", 1, 1000]])
    headers, body = form(signed["fields"] | (change or {}), PAGE)
    send("POST", signed["url"], headers=headers, body=body)


@scenario("BrowserPost", iam=["s3:PutObject"])
def browser_post(send: Any, s3: Any, bucket: str, new_key: str) -> None:
    """Upload by an HTML form with a signed policy: PutObject or PostObject in CloudTrail, the documents disagree."""
    post(send, s3, bucket, new_key)


@scenario("BrowserPost", variant="policy-violated", fails=[403], iam=())
def browser_post_elsewhere(send: Any, s3: Any, bucket: str, new_key: str) -> None:
    """Post to a key that the policy does not allow."""
    post(send, s3, bucket, new_key, {"key": f"{new_key}-elsewhere"})


@scenario("BrowserPost", variant="bad-signature", fails=[403], iam=(), records=Records(cloudtrail=0))
def browser_post_badly_signed(send: Any, s3: Any, bucket: str, new_key: str) -> None:
    """Post with a changed signature."""
    post(send, s3, bucket, new_key, {"x-amz-signature": "0" * 64})


@scenario("BrowserPost", variant="anonymous", fails=[403], iam=())
def browser_post_unsigned(send: Any, bucket: str, new_key: str, surroundings: Surroundings) -> None:
    """Post without a policy to a private bucket."""
    headers, body = form({"key": new_key}, PAGE)
    send("POST", address(surroundings, bucket), headers=headers, body=body)


@scenario("CorsPreflight", iam=())
def preflight(send: Any, cors_bucket: str, surroundings: Surroundings) -> None:
    """Ask from an origin that is allowed."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    send("OPTIONS", address(surroundings, cors_bucket, "/page.html"), headers=asked)


@scenario("CorsPreflight", variant="refused", fails=[403], iam=())
def preflight_refused(send: Any, cors_bucket: str, surroundings: Surroundings) -> None:
    """Ask from an origin that is not allowed."""
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "GET"}
    send("OPTIONS", address(surroundings, cors_bucket, "/page.html"), headers=asked)


@scenario("CorsPreflight", variant="incomplete", fails=[400], iam=())
def preflight_incomplete(send: Any, cors_bucket: str, surroundings: Surroundings) -> None:
    """Ask without saying from where."""
    send("OPTIONS", address(surroundings, cors_bucket, "/page.html"))


@scenario("WebsiteGet", records=WEBSITE, iam=())
def website_get(send: Any, website: Website) -> None:
    """Read the index page."""
    send("GET", f"{website.url}/")


@scenario("WebsiteGet", variant="missing-key", fails=[404], records=WEBSITE, iam=())
def website_error_document(send: Any, website: Website) -> None:
    """Ask for a page that is not there: the error document comes with a 404."""
    send("GET", f"{website.url}/no-such-page")


@scenario("WebsiteHead", records=WEBSITE, iam=())
def website_head(send: Any, website: Website) -> None:
    """Ask for the index page's headers."""
    send("HEAD", f"{website.url}/index.html")


@scenario("WebsitePost", fails=[405], records=WEBSITE, iam=())
def website_post(send: Any, website: Website) -> None:
    """A method that websites do not have."""
    send("POST", f"{website.url}/index.html", body=b"a=b")


@scenario("GetObject", variant="anonymous-allowed", iam=())
def get_public_object(send: Any, website: Website, surroundings: Surroundings) -> None:
    """Read a public object unsigned, by its REST address."""
    send("GET", address(surroundings, website.bucket, "/index.html"))


@scenario("GetObject", variant="x-query", iam=())
def get_with_a_query_of_ones_own(send: Any, website: Website, surroundings: Surroundings) -> None:
    """S3 ignores query parameters that begin with x-, and logs them: people tag requests with them."""
    send("GET", address(surroundings, website.bucket, "/index.html?x-user=johndoe"))


@scenario("PatchObject", fails=[403, 405, 501], records=Records(cloudtrail=0), iam=())
def patch_object(send: Any, stored_object: StoredObject, surroundings: Surroundings) -> None:
    """A method that S3 does not have."""
    send("PATCH", address(surroundings, stored_object.bucket, f"/{stored_object.key}"), body=BODY)


@scenario("TorrentGet", fails=[400, 403, 405, 501], iam=())
def torrent_get(send: Any, stored_object: StoredObject, surroundings: Surroundings) -> None:
    """Ask unsigned for a torrent file, as BitTorrent clients did until 2022."""
    send("GET", address(surroundings, stored_object.bucket, f"/{stored_object.key}?torrent"))


@scenario("UnknownSubresource", fails=[400, 403, 405, 501], records=Records(cloudtrail=0), iam=())
def unknown_subresource(send: Any, fresh_bucket: str, surroundings: Surroundings) -> None:
    """What a client newer than the service would send; on AWS this may be taken for CreateBucket."""
    send("PUT", address(surroundings, fresh_bucket, "/?s3logjam-unknown"))


@scenario("SoapRequest", fails=[400, 403, 404, 405, 501], records=NO_BUCKET, iam=())
def soap_request(send: Any, surroundings: Surroundings) -> None:
    """The interface of 2006, withdrawn."""
    envelope = (
        b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><ListAllMyBuckets/></Body></Envelope>'
    )
    send("POST", f"https://s3.{surroundings.region}.amazonaws.com/soap/", headers={"SOAPAction": '""'}, body=envelope)


@scenario("MalformedRequest", fails=[400, 403, 404, 405], records=NO_BUCKET, iam=())
def malformed_request(send: Any, surroundings: Surroundings) -> None:
    """A path whose first part can be no bucket's name: there is no bucket to log to."""
    send("GET", f"https://s3.{surroundings.region}.amazonaws.com/..%00/x")
