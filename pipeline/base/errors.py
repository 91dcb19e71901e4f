"""The errors a user is meant to read: a message instead of a traceback."""


class PipelineError(Exception):
    """Something the user can fix; the message says what was got, what was expected, what to do."""


class MediaError(PipelineError):
    """A media file that cannot be used; it masks a modality and goes to the ledger.

    Its kind is one of the ledger's (`absent`, `empty`, `unreadable`, ...), its detail is in words.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail

    def __reduce__(self) -> tuple[type["MediaError"], tuple[str, str]]:
        """Lets it pass between processes: an exception is rebuilt from what it was made of."""
        return MediaError, (self.kind, self.detail)
