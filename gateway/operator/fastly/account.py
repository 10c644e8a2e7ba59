"""What is asked of a Fastly account, and the little of each answer that is used.

Each function names the page of Fastly's reference that has its request. What the gateway's service
must call its resources is fixed, as the component opens them by these names.
"""

from pydantic import BaseModel, TypeAdapter

from gateway.operator.fastly.api import FastlyApi, Page, path_of

# https://www.fastly.com/documentation/reference/api/logging/ : one list a kind, the usual ones
# first, as the search ends at the first that has it.
LOG_KINDS = (
    "https", "s3", "datadog", "bigquery", "gcs", "azureblob", "splunk", "syslog", "kafka",
    "elasticsearch", "grafanacloudlogs", "honeycomb", "newrelic", "newrelicotlp", "sumologic",
    "loggly", "papertrail", "kinesis", "pubsub", "scalyr", "digitalocean", "openstack",
    "cloudfiles", "ftp", "sftp", "heroku", "logshuttle", "logentries",
)  # fmt: skip


class Token(BaseModel):
    name: str | None = None
    scope: str | None = None


class Version(BaseModel):
    number: int


class Service(BaseModel):
    """`type` is wasm for Compute, vcl for a CDN service."""

    name: str
    type: str
    active_version: Version | None = None
    versions: list[Version] = []


class Store(BaseModel):
    """A KV Store or a Secret Store."""

    id: str
    name: str


class Link(BaseModel):
    """A resource that a version of a service opens by `name`, whatever its own name is."""

    name: str
    resource_id: str


class Backend(BaseModel):
    """A static backend. Timeouts are in milliseconds."""

    name: str
    address: str | None = None
    port: int | None = None
    use_ssl: bool | None = None
    first_byte_timeout: int | None = None
    between_bytes_timeout: int | None = None


class Named(BaseModel):
    name: str


_TOKEN = TypeAdapter(Token)
_SERVICE = TypeAdapter(Service)
_STORES = TypeAdapter(Page[Store])
_LINKS = TypeAdapter(list[Link])
_BACKENDS = TypeAdapter(list[Backend])
_SECRETS = TypeAdapter(Page[Named])
_LOGS = TypeAdapter(list[Named])


def token(api: FastlyApi) -> Token | None:
    """https://www.fastly.com/documentation/reference/api/auth-tokens/user/"""
    return api.read(_TOKEN, "/tokens/self", "the token")


def service(api: FastlyApi, service_id: str) -> Service | None:
    """https://www.fastly.com/documentation/reference/api/services/service/"""
    path = path_of("service", service_id, "details")
    # The API says 400 to an ID that no service has.
    return api.read(_SERVICE, path, f"the service {service_id}", absent=(400, 404))


def links(api: FastlyApi, service_id: str, version: int) -> dict[str, Link]:
    """https://www.fastly.com/documentation/reference/api/services/resource/"""
    path = path_of("service", service_id, "version", str(version), "resource")
    return {link.name: link for link in api.read(_LINKS, path, "the resource links") or []}


def backends(api: FastlyApi, service_id: str, version: int) -> dict[str, Backend]:
    """https://www.fastly.com/documentation/reference/api/services/backend/"""
    path = path_of("service", service_id, "version", str(version), "backend")
    return {item.name: item for item in api.read(_BACKENDS, path, "the backends") or []}


def kv_stores(api: FastlyApi) -> list[Store]:
    """https://www.fastly.com/documentation/reference/api/services/resources/kv-store/"""
    return list(api.pages(_STORES, "/resources/stores/kv", "the list of KV Stores"))


def secret_stores(api: FastlyApi) -> list[Store]:
    """https://www.fastly.com/documentation/reference/api/services/resources/secret-store/"""
    return list(api.pages(_STORES, "/resources/stores/secret", "the list of Secret Stores"))


def secret_names(api: FastlyApi, store: Store) -> set[str]:
    """https://www.fastly.com/documentation/reference/api/services/resources/secret-store-secret/

    The API gives out no values.
    """
    path = path_of("resources", "stores", "secret", store.id, "secrets")
    return {item.name for item in api.pages(_SECRETS, path, f"the secrets' names in {store.name}")}


def log_kind(api: FastlyApi, service_id: str, version: int, name: str) -> str | None:
    """The kind of the log endpoint of that name, or None if there is none."""
    for kind in LOG_KINDS:
        path = path_of("service", service_id, "version", str(version), "logging", kind)
        # A kind that was taken out of service is not the operator's problem.
        found = api.read(_LOGS, path, f"the {kind} log endpoints", absent=(400, 404, 410))
        if any(item.name == name for item in found or []):
            return kind
    return None
