"""The rules between two fields, which JSON Schema has no words for.

A request that breaks one is refused with 400 although each of its fields fits its schema. Such
requests are not made here; the project's own tests hold those rules.
"""

import schemathesis


def keeps_the_rules(case):
    query = case.query if isinstance(case.query, dict) else {}
    path = case.path_parameters if isinstance(case.path_parameters, dict) else {}
    body = case.body if isinstance(case.body, dict) else {}
    return not (
        (query.get("before") is not None and query.get("after") is not None)
        or (path and path.get("user") == path.get("peer"))
        or (body and body.get("from") == body.get("to"))
        or (body.get("body") == "" and not body.get("attachments"))
    )


@schemathesis.hook
def filter_case(_context, case):
    return keeps_the_rules(case)


@schemathesis.hook
def before_add_examples(_context, examples):
    examples[:] = filter(keeps_the_rules, examples)
