"""The web pages: `kohort serve` shows a workspace in the browser of this machine. See `kohort.web.app.create`."""
