"""The content key of what an extractor takes from a media file."""

from pipeline.cache import digest_of
from pipeline.manifest import Segment


def media_key(segment: Segment) -> str:
    """What of a media file is used: its content, the stretch and the region."""
    return digest_of(segment.sha256, segment.start, segment.end, segment.region)
