"""A policy: no more than so many endpoints in a network. Settings: {"max": 50}.

The contract is wit/policy.wit; names are in snake_case here. There is no clock, no randomness, no file and no printing: what you want
to see while you write it, put into `notes`. The same request must get the same opinion.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.judge import Description, Operation, Opinion, Outcome, Request, Rule, Violation

maximum = 50


class Judge(exports.Judge):
    def describe(self) -> Description:
        """What the policy says of itself."""
        schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {"max": {"type": "integer", "minimum": 1, "default": 50}},
        }
        return Description(
            name="endpoint-limit",
            version="1.0.0",
            summary="No more than so many endpoints in a network",
            operations=[Operation.ATTACH],
            rules=[Rule("too-many", "A network has no more endpoints than the settings say", controls=[])],
            label_keys=[],
            needs=[],
            settings_schema=json.dumps(schema),
        )

    def configure(self, settings: str) -> None:
        """Comes once, with the settings as JSON. Raises a list of all that is wrong with them."""
        global maximum
        faults = []

        def fault(field: str | None, message: str, remedy: str) -> None:
            faults.append(Violation(rule="settings", message=message, field=field, remedy=remedy))

        given = json.loads(settings)
        if not isinstance(given, dict):
            fault(None, "the settings are no object", 'such as {"max": 50}')
        else:
            for key in given.keys() - {"max"}:
                fault(key, "is not a known field", "known are max")
            maximum = given.get("max", maximum)
            # True is an int to Python.
            if not isinstance(maximum, int) or isinstance(maximum, bool) or maximum < 1:
                fault("max", f"is {json.dumps(maximum)}", "a whole number from 1")
        if faults:
            raise Err(sorted(faults, key=lambda f: f.field or ""))

    def evaluate(self, request: Request) -> Opinion:
        """Its opinion on a request. Violations if, and only if, it denies."""
        network = request.network
        violations = []
        if network.endpoints >= maximum:
            message = f"network {network.name} has {network.endpoints} endpoints, and may have {maximum}"
            remedy = "attach to another network, or detach what is no longer needed"
            violations.append(Violation("too-many", message, field=None, remedy=remedy))
        outcome = Outcome.DENY if violations else Outcome.ALLOW
        return Opinion(outcome, violations, warnings=[], notes=[])
