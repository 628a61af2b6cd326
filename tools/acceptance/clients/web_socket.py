"""Follows the events of berth with the library websockets, and prints each event on a line of its own.

Connects again after each cut, from the position of the last frame, until an event has the label "last".
"""

import json
import os
import sys
import urllib.request

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

API = os.environ["BERTH_URL"]
SOCKETS = os.environ["BERTH_SOCKET_URL"]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ticket():
    headers = {"X-Api-Key": os.environ["BERTH_KEY"]}
    request = urllib.request.Request(f"{API}/api/v1/realtime/ticket", method="POST", headers=headers)
    with DIRECT.open(request) as answer:
        return json.load(answer)["ticket"]


def follow(after):
    """Prints events until a cut; returns the position of the last frame, or None after the last event."""
    try:
        url = f"{SOCKETS}/api/v1/realtime?ticket={ticket()}&after={after}&bookmarks=true"
        with connect(url, proxy=None) as socket:
            for text in socket:
                frame = json.loads(text)
                after = frame["id"]
                if frame["event"] == "stream.bookmark":
                    continue
                print(text, flush=True)
                if frame["payload"].get("label") == "last":
                    return None
    except (WebSocketException, OSError) as cut:
        print(f"cut: {cut!r}", file=sys.stderr, flush=True)
    return after


position = "earliest"
while position is not None:
    position = follow(position)
