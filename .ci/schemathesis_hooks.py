"""Filters generated requests by rules that JSON Schema cannot express.

The rules concern two fields, a field and the caller, or the stored form of a field. The service
refuses a request that breaks one with 400, although each field matches its schema. The project's
own tests check these rules.
"""

import json

import schemathesis


@schemathesis.hook
def before_load_schema(_context, schema):
    """Generates lines of an import. The document declares the body as text, as clients send it."""
    body = schema["paths"]["/messages/batch"]["post"]["requestBody"]["content"]
    lines = body["application/x-ndjson"]
    lines["schema"] = {"$ref": "#/components/schemas/ImportLine"}
    lines["example"] = json.loads(lines["example"])


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    return json.dumps(value).encode() + b"\n"


def attachment_urls(body):
    attachments = body.get("attachments")
    attachments = attachments if isinstance(attachments, list) else []
    return [str(a.get("url")) for a in attachments if isinstance(a, dict)]


def has_null(body):
    """Whether an optional member is null, which counts as absent: many encoders write it. The schemas do
    not say so, because generated clients would have two forms of "no value"."""
    attachments = body.get("attachments")
    objects = [body, *(attachments if isinstance(attachments, list) else [])]
    return any(None in o.values() for o in objects if isinstance(o, dict))


def keeps_the_rules(case):
    query = case.query if isinstance(case.query, dict) else {}
    path = case.path_parameters if isinstance(case.path_parameters, dict) else {}
    body = case.body if isinstance(case.body, dict) else {}
    wheres = [query.get(where) for where in ("before", "after", "around", "around_time")]
    return not (
        len([where for where in wheres if where is not None]) > 1
        or (path and path.get("user") == path.get("peer"))
        # The caller has a service key, so it must name the user that it acts for.
        or (body.get("to") and body.get("from") in (None, body.get("to")))
        or (case.path.startswith("/events") and (query.get("user") is None or "ticket" in query))
        # Generated although it does not match the pattern.
        or (case.headers or {}).get("Last-Event-ID") == "0"
        or (case.path == "/tickets" and body.get("user") is None)
        or (body.get("body") == "" and not body.get("attachments"))
        # A generated cursor is not the end of any page, and a mute ends in the future.
        or (case.path == "/conversations/{user}" and query.get("cursor") is not None)
        or body.get("until") is not None
        or (case.method != "PATCH" and has_null(body))
        or (case.path.endswith("/mute") and case.body is None)
        # The normal form of a URL, which is stored, can be longer than the URL and must fit too.
        or any(len(url) > 1024 for url in attachment_urls(body))
        # An imported message expires at most 90 days after `sent_at`; a deleted one has no content.
        or (case.path == "/messages/batch" and (body.get("expires_at") or body.get("deleted_at")))
    )


@schemathesis.hook
def map_query(_context, query):
    # A generated ticket is never valid, and the service key authenticates already.
    if isinstance(query, dict):
        query.pop("ticket", None)
        # No other client sends the event that this would wait for.
        if query.get("wait") in range(1, 31):
            query["wait"] = 0
    return query


@schemathesis.hook
def filter_case(_context, case):
    return keeps_the_rules(case)


@schemathesis.hook
def before_add_examples(_context, examples):
    examples[:] = filter(keeps_the_rules, examples)
