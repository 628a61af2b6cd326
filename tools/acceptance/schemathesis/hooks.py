"""Knowledge of the walk that no schema can state: the objects that it may change, the valid values of the
moment, the answers to another organization, and the coverage that a walk must reach.

The walk changes only objects that it has created, and removes them at the end, so that it is safe on a
deployment in use. Valid values replace generated ones only in requests that are meant to be valid; requests
that are meant to be refused stay as they are.
"""

import json
import os
import re
import time
from collections import Counter, defaultdict
from itertools import count
from urllib.parse import parse_qsl, urlsplit

import requests
import schemathesis

BASE = os.environ["BERTH_WALK_URL"].rstrip("/")
WHO = {who["name"]: who["fixedHeaders"][0] for who in json.load(open(os.environ["BERTH_WALK_AUTH"]))["auth"]}
CREDENTIAL_A, CREDENTIAL_B = ({who["name"]: who["value"]} for who in (WHO["a"], WHO["b"]))
# A session that is linked to a phone, where there can be one.
LINKED = os.environ.get("BERTH_WALK_LINKED", "")
# A chat and a message of that session, where there can be one.
CHAT, MESSAGE = os.environ.get("BERTH_WALK_CHAT", ""), os.environ.get("BERTH_WALK_MESSAGE", "")
# On a deployment in use WhatsApp is real: no request asks a phone to link.
GENTLY = os.environ.get("BERTH_WALK_GENTLY", "") == "1"

# They need a connection to WhatsApp, which a restart interrupts.
LIVE = ("message_send", "chat_read", "chat_presence", "contact_check")

ours = requests.Session()
ours.trust_env = False


def as_a(method, path, **more):
    return ours.request(method, BASE + path, headers=CREDENTIAL_A, timeout=45, **more)


# ---- objects that the walk may change ----

ID = re.compile(r"(sess|key|wh)_[0-9A-HJKMNP-TV-Z]{26}")
COLLECTIONS = {"session": "/api/v1/sessions", "key": "/api/v1/api-keys", "webhook": "/api/v1/webhooks"}
CREATES = {"session_create": "session", "api_key_create": "key", "webhook_create": "webhook"}
DELETES = {"session_delete": "session", "api_key_revoke": "key", "webhook_delete": "webhook"}
# No request leaves the machine. Nobody listens at the port.
NEED_PHONE = ("session_identity", "session_start", "session_restart", "message_send", "contact_check")
RECEIVER = "http://127.0.0.1:9/hook"
# An organization has at most 20 webhooks.
MOST_WEBHOOKS = 10
made = {kind: [] for kind in COLLECTIONS}
# Share links: pairs of session and link. They go with their session.
links = []


def one_of_ours(kind):
    if not made[kind]:
        key = {"name": "walk", "capabilities": ["manage"]}
        specs = {"session": {}, "key": key, "webhook": {"url": RECEIVER, "active": not GENTLY}}
        made[kind].append(as_a("POST", COLLECTIONS[kind], json=specs[kind]).json()["id"])
    return made[kind][-1]


def harmless(case):
    for kind in COLLECTIONS:
        id = (case.path_parameters or {}).get(kind)
        # A GET of a QR code starts a pairing.
        changes = case.method.upper() != "GET" or name_of(case) == "session_qr"
        if changes and ID.fullmatch(str(id)) and id not in made[kind]:
            case.path_parameters[kind] = one_of_ours(kind)
    if GENTLY and isinstance(case.body, dict) and case.body.get("start") is True:
        case.body["start"] = False
    if name_of(case) in ("webhook_create", "webhook_update") and isinstance(case.body, dict):
        url = case.body.get("url")
        if isinstance(url, str) and (is_meant_well(case) or may_be_called(url)):
            case.body["url"] = RECEIVER
        if GENTLY and "active" in case.body:
            case.body["active"] = False


def may_be_called(url):
    return len(url) <= 2048 and url.lower().startswith(("http://", "https://"))


def remove_what_was_made():
    for kind, collection in COLLECTIONS.items():
        for id in set(made[kind]):
            as_a("DELETE", f"{collection}/{id}")


# ---- valid values of the moment ----

TAG = re.compile(r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$')
cursors = {}
turns = defaultdict(count)


def is_meant_well(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def name_of(case):
    return case.operation.definition.raw.get("operationId")


@schemathesis.hook
def before_call(context, case, kwargs):
    harmless(case)
    page_of_events(case)
    if is_meant_well(case):
        entity_tag(case)
        name_for_the_request(case)
        thing_that_is_there(case)
        receiver_with_an_account(case)
        connected_session(case)
        cursor(case)
        if isinstance(case.body, dict):
            key_for_now(case)
            parts_of_webhook(case)
            end_of_replay(case)
            link_without_return(case)
            room_for_metadata(case)


def page_of_events(case):
    # A stream has no end, and a wait is not what the walk is about.
    if name_of(case) != "event_stream":
        return
    case.headers["Accept"] = "application/json"
    if is_meant_well(case):
        query = case.query or {}
        if "wait" in query:
            query["wait"] = min(int(query["wait"]), 1)
        # A generated position is well-formed and unknown, which is 410: every other request begins elsewhere.
        if next(turns["positions"]) % 2:
            query.pop("after", None)
            case.headers.pop("Last-Event-ID", None)


def entity_tag(case):
    # In its coverage phase schemathesis generates headers of letters and digits only, and no entity tag is one.
    tag = case.headers.get("If-Match")
    if tag is not None and not TAG.match(tag):
        case.headers["If-Match"] = "*"


def name_for_the_request(case):
    # The example of the document is one key, and a repeated key would be refused.
    name = case.headers.get("Idempotency-Key")
    if name is not None and len(name) < 200 and next(turns["names"]) % 4:
        case.headers["Idempotency-Key"] = f"{name}-{next(turns['names'])}"


def cursor(case):
    # A cursor cannot be generated: use the one that this list returned with these filters, or none.
    query = case.query or {}
    if "cursor" in query:
        known = cursors.get((path_of(case), conditions(query)))
        if known:
            query["cursor"] = known
        else:
            del query["cursor"]


def path_of(case):
    path = case.operation.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace("{" + name + "}", str(value))
    return path


def conditions(query):
    pairs = ((name, value if isinstance(value, list) else [value]) for name, value in query.items())
    flat = [(name, str(value)) for name, values in pairs for value in values]
    return tuple(sorted(pair for pair in flat if pair[0] not in ("limit", "cursor")))


def thing_that_is_there(case):
    # Every other request is for an existing object, linked to a phone where necessary.
    if "link" in (case.path_parameters or {}):
        if next(turns[name_of(case)]) % 2 == 0 and one_of_our_links():
            case.path_parameters["session"], case.path_parameters["link"] = one_of_our_links()
        return
    needs_phone = name_of(case) in NEED_PHONE
    for kind, things in made.items():
        id = (case.path_parameters or {}).get(kind)
        if id is None or next(turns[name_of(case)]) % 2:
            continue
        if LINKED and needs_phone:
            case.path_parameters[kind] = LINKED
        elif kind == "session" and CHAT and below_session(case):
            case.path_parameters.update(session=LINKED, **below_session(case))
        elif id not in things:
            case.path_parameters[kind] = one_of_ours(kind)


def link_without_return(case):
    # The operator has listed no origin to return to.
    if name_of(case) == "link_create":
        case.body.pop("returnUrl", None)


def one_of_our_links():
    if not links:
        session = one_of_ours("session")
        answer = as_a("POST", f"/api/v1/sessions/{session}/links", json={})
        if answer.status_code == 201:
            links.append((session, answer.json()["id"]))
    return links[-1] if links else None


def receiver_with_an_account(case):
    if not CHAT or not isinstance(case.body, dict):
        return
    if name_of(case) == "message_send":
        case.body["to"] = CHAT
        if case.body.get("expiresAt") is not None:
            case.body["expiresAt"] = int(time.time() * 1000) + 3_600_000
    if name_of(case) == "chat_read" and case.body.get("upTo") is not None:
        case.body["upTo"] = MESSAGE


def connected_session(case):
    if LINKED and name_of(case) in LIVE and case.path_parameters.get("session") == LINKED:
        end = time.time() + 20
        while as_a("GET", f"/api/v1/sessions/{LINKED}").json()["status"] != "working" and time.time() < end:
            time.sleep(0.05)


def below_session(case):
    # Chats and messages are not created by requests.
    known = {"chat": CHAT, "message": MESSAGE}
    return {kind: known[kind] for kind in case.path_parameters if kind in known}


def key_for_now(case):
    if name_of(case) == "api_key_create":
        if case.body.get("expiresAt") is not None:
            case.body["expiresAt"] = max(case.body["expiresAt"], int(time.time() * 1000) + 3_600_000)
        if isinstance(case.body.get("sessions"), list):
            mine = as_a("GET", "/api/v1/sessions?limit=1").json()["data"]
            if mine:
                case.body["sessions"] = [mine[0]["id"]] * min(len(case.body["sessions"]), 3)
            else:
                del case.body["sessions"]


def parts_of_webhook(case):
    if name_of(case) not in ("webhook_create", "webhook_update"):
        return
    if case.body.get("sessionId") is not None:
        case.body["sessionId"] = one_of_ours("session")
    if isinstance(case.body.get("customHeaders"), dict):
        # Names of the connection's headers, and more than 8,000 bytes, are refused.
        few = list(case.body["customHeaders"].items())[:5]
        case.body["customHeaders"] = {f"X-{at}-{name}"[:64]: value for at, (name, value) in enumerate(few)}


def end_of_replay(case):
    # The schema of one field cannot state its relation to others.
    if name_of(case) != "webhook_replay":
        return
    if case.body.get("after") is not None:
        case.body.pop("since", None)
    elif not case.body.get("deadOnly"):
        case.body["since"] = case.body.get("since") or 1
    if None not in (case.body.get("since"), case.body.get("until")):
        case.body["until"] = max(case.body["until"], case.body["since"] + 1)


def room_for_metadata(case):
    # The number of objects at the end depends on the number before.
    if name_of(case) == "session_update" and case.body.get("metadata"):
        path = "/api/v1/sessions/" + str(case.path_parameters["session"])
        as_a("PATCH", path, json={"metadata": None})


# ---- answers to another organization ----

IN_PATH = re.compile(r"/(?:sess|key|wh)_([0-9A-HJKMNP-TV-Z]{26})(?=[/:?]|$)")


@schemathesis.check
class a_stranger_finds_nothing:
    """A request by B for an object of A gets the same answer as for an object that never existed: 404."""

    def after_response(self, ctx, response, case):
        request = response.request
        found = IN_PATH.search(request.url)
        by_a = all(request.headers.get(name) == value for name, value in CREDENTIAL_A.items())
        if found is None or not by_a:
            return
        never = found.group(1)[:-1] + ("0" if found.group(1)[-1] == "1" else "1")
        other = request.url[: found.start(1)] + never + request.url[found.end(1) :]
        hidden, missing = self.ask(request, request.url), self.ask(request, other)
        assert lasting(hidden) == lasting(missing), f"the answers to B differ: {lasting(hidden)} and {lasting(missing)}"
        if self.was_well_formed(request, response):
            assert hidden.status_code == 404, f"A got {response.status_code}, and B {hidden.status_code}"
        fine = 400 <= hidden.status_code < 500 and hidden.status_code != 429
        assert fine or request.method == "OPTIONS", f"B got {hidden.status_code}"

    @staticmethod
    def was_well_formed(request, response):
        if request.method == "OPTIONS":
            return False
        # A request with a used idempotency key is refused before its content is read.
        named = response.status_code == 409 and "Idempotency-Key" in request.headers
        # A cursor and the session of a webhook are A's too, so B's request is refused before the object is sought.
        names_other_things = "cursor=" in request.url or b'"sessionId": "' in (request.body or b"")
        return not named and not names_other_things and (response.status_code < 300 or response.status_code in (304, 404, 409, 412))

    @staticmethod
    def ask(request, url):
        probe = request.copy()
        probe.url = url
        for name in CREDENTIAL_A:
            del probe.headers[name]
        probe.headers.update(CREDENTIAL_B)
        # A new key, because the key of the first request is used.
        probe.headers.pop("Idempotency-Key", None)
        return ours.send(probe, timeout=45)


def lasting(response):
    # The header `connection` depends on the bytes that were read.
    passing = ("connection", "date", "x-request-id")
    headers = sorted((n.lower(), v) for n, v in response.headers.items() if n.lower() not in passing)
    return response.status_code, headers, response.content


# ---- coverage ----

told, accepts_every_request = {}, set()


@schemathesis.hook
def after_call(context, case, response):
    if response.request.method != case.operation.method.upper():
        return
    told.setdefault(name_of(case), Counter())[response.status_code] += 1
    raw = case.operation.definition.raw
    # The walk has a valid credential, so an operation without input cannot refuse a request.
    only_header = [{"$ref": "#/components/parameters/X-Request-Id"}]
    has_input = "requestBody" in raw or raw.get("parameters", only_header) != only_header
    if raw.get("security") == [] or not has_input:
        accepts_every_request.add(name_of(case))
    if name_of(case) == "link_create" and response.status_code == 201:
        links.append((case.path_parameters["session"], response.json()["id"]))
    elif response.status_code == 201:
        made[CREATES[name_of(case)]].append(response.json()["id"])
        if len(made["webhook"]) > MOST_WEBHOOKS:
            as_a("DELETE", f"{COLLECTIONS['webhook']}/{made['webhook'].pop(0)}")
    if name_of(case) == "link_revoke" and response.status_code == 204:
        links[:] = [pair for pair in links if pair[1] != case.path_parameters["link"]]
    if name_of(case) in DELETES and response.status_code == 204:
        kind = DELETES[name_of(case)]
        made[kind] = [id for id in made[kind] if id != case.path_parameters[kind]]
        links[:] = [pair for pair in links if pair[0] in made["session"]]
    if response.status_code == 200 and response.request.method == "GET":
        body = response.json() if "json" in "".join(response.headers.get("content-type", [])) else None
        if isinstance(body, dict) and isinstance(body.get("nextCursor"), str):
            query = parse_qsl(urlsplit(response.request.url).query)
            asked = tuple(sorted(pair for pair in query if pair[0] not in ("limit", "cursor")))
            cursors[(urlsplit(response.request.url).path, asked)] = body["nextCursor"]


@schemathesis.check
class every_operation_succeeds_and_refuses:
    """Every operation must succeed and fail at least once; otherwise the walk proves little."""

    def after_run(self, ctx):
        remove_what_was_made()
        for name, statuses in sorted(told.items()):
            print(f"  {name:<22}", " ".join(f"{status}×{count}" for status, count in sorted(statuses.items())))
        unlinked = set() if LINKED else set(NEED_PHONE)
        if not CHAT:
            unlinked |= {"chat_view", "message_list", "message_view", "chat_read", "chat_presence"}
        # The gateway is faster than the walk.
        unlinked |= {"message_cancel"}
        # They need a receiver that has failed.
        unlinked |= {"dead_letter_replay", "dead_letter_skip"}
        never = [name for name, told_of in told.items() if not any(200 <= status < 300 for status in told_of)]
        never = sorted(set(never) - unlinked)
        assert not never, f"operations that never succeeded: {', '.join(never)}"
        always = [name for name, told_of in told.items() if not any(400 <= status < 500 for status in told_of)]
        always = sorted(set(always) - accepts_every_request)
        assert not always, f"operations that never refused a request: {', '.join(always)}"


# ---- answers that are not JSON ----


@schemathesis.deserializer("image/png", "image/svg+xml", "text/html", "text/javascript", "text/css")
def as_text(context, response):
    return response.content.decode("utf-8", errors="replace")
