"""One file from the web: a stream to disk, with a progress display and short timeouts."""

import http.client
import math
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from pipeline.base.progress import track

CHUNK_BYTES = 1 << 20
# For making the connection and for each read; long enough for a slow server, short enough that
# a machine behind a firewall is told soon.
TIMEOUT_SECONDS = 10.0
TRIES = 2


class SourceError(Exception):
    """A source did not give the file; the message is the reason in one short line."""


class UnreachableError(SourceError):
    """A source's server could not be reached, so that asking it again is of no use."""


def download(url: str, destination: Path) -> None:
    """Writes what `url` gives to `destination`; a broken connection is tried a second time.

    Raises:
        UnreachableError: If there is no connection to the server.
        SourceError: If the server refuses or the transfer breaks off.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _stream(url, destination)
        except urllib.error.HTTPError as error:
            # 4xx will not change; 5xx may be over in a moment.
            if error.code < 500 or attempt == TRIES:
                raise SourceError(f"HTTP {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            if attempt == TRIES:
                raise UnreachableError(f"no connection: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            if attempt == TRIES:
                raise SourceError(str(error) or type(error).__name__) from error


def probe(url: str) -> None:
    """Asks a server for anything at all, in order to know soon that it cannot be reached.

    Raises:
        UnreachableError: If there is no connection to the server.
    """
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError:
        return  # An answer, if not a welcome.
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        # Certificates are judged differently by other HTTP libraries: leave it to them.
        if not isinstance(reason, ssl.SSLError):
            raise UnreachableError(f"no connection: {reason}") from error


def _stream(url: str, destination: Path) -> None:
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response,
        destination.open("wb") as file,
    ):
        expected = response.length
        label = f"{url.rpartition('/')[2]} (MiB)"
        for chunk in _shown(iter(lambda: response.read(CHUNK_BYTES), b""), label, expected):
            file.write(chunk)
    written = destination.stat().st_size
    # http.client returns the short read of a cut connection as if it were the end.
    if expected is not None and written != expected:
        raise ConnectionError(f"cut off after {written} of {expected} bytes")


def _shown(chunks: Iterator[bytes], label: str, expected: int | None) -> Iterator[bytes]:
    """The chunks, with a progress display where the server tells the size in bytes."""
    if expected is None:
        return chunks
    return iter(track(chunks, label, total=math.ceil(expected / CHUNK_BYTES)))
