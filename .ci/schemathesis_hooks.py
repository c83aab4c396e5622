"""The rules between two fields or a field and who calls, which JSON Schema has no words for.

A request that breaks one is refused with 400 although each of its fields fits its schema. Such
requests are not made here; the project's own tests hold those rules.
"""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    return json.dumps(value).encode() + b"\n"


def keeps_the_rules(case):
    query = case.query if isinstance(case.query, dict) else {}
    path = case.path_parameters if isinstance(case.path_parameters, dict) else {}
    body = case.body if isinstance(case.body, dict) else {}
    wheres = [query.get(where) for where in ("before", "after", "around")]
    return not (
        len([where for where in wheres if where is not None]) > 1
        or (path and path.get("user") == path.get("peer"))
        # A backend, which is who calls here, has to say for whom it sends, listens, or wants a ticket.
        or (body.get("to") and body.get("from") in (None, body.get("to")))
        or (case.path == "/events" and (query.get("user") is None or "ticket" in query))
        # Made without a look at the pattern.
        or (case.headers or {}).get("Last-Event-ID") == "0"
        or (case.path == "/tickets" and body.get("user") is None)
        or (body.get("body") == "" and not body.get("attachments"))
    )


@schemathesis.hook
def map_query(_context, query):
    # One that was made up is none, and a key is shown already.
    if isinstance(query, dict):
        query.pop("ticket", None)
        # Nobody is there to send what would be waited for.
        if query.get("wait") in range(1, 31):
            query["wait"] = 0
    return query


@schemathesis.hook
def filter_case(_context, case):
    return keeps_the_rules(case)


@schemathesis.hook
def before_add_examples(_context, examples):
    examples[:] = filter(keeps_the_rules, examples)
