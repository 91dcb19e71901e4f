"""The content key of what an extractor takes from a media file."""

from pipeline.cache import digest_of
from pipeline.manifest import Segment, Utterance


def media_key(segment: Segment) -> str:
    """What of a media file is used: its content, the stretch and the region."""
    return digest_of(segment.sha256, segment.start, segment.end, segment.region)


def pictures_key(utterance: Utterance) -> str:
    """What an utterance's pictures are made of: what is seen, and the voice that picks the face."""
    return digest_of(media_key(utterance.video), media_key(utterance.audio))
