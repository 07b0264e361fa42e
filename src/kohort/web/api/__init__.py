"""What programs ask and change over HTTP: `/v1/segments`, `/v1/features`, … over the verbs of `kohort.workspace`; see docs/api.md."""

from kohort.web.api.door import ApiDoor
from kohort.web.api.problems import problem, status_of, wrong_field
from kohort.web.api.routes import api_routes

__all__ = ["ApiDoor", "api_routes", "problem", "status_of", "wrong_field"]
