"""The door for events over HTTP, compatible with unmodified Segment and RudderStack clients; see docs/tracking-http.md."""

from kohort.web.tracking.beside import Tracking
from kohort.web.tracking.door import Door
from kohort.web.tracking.inbox import DEFAULTS, Inbox, Keys, Limits

__all__ = ["DEFAULTS", "Door", "Inbox", "Keys", "Limits", "Tracking"]
