// A policy: no more than so many endpoints in a network. Settings: {"max": 50}.
//
// The contract is wit/policy.wit; names are in camelCase here. There is no clock, no randomness, no file and no printing: what you
// want to see while you write it, put into `notes`. The same request must get the same opinion.

let max = 50;

export const judge = {
    // What the policy says of itself.
    describe() {
        return {
            name: "endpoint-limit",
            version: "1.0.0",
            summary: "No more than so many endpoints in a network",
            operations: ["attach"],
            rules: [{ id: "too-many", summary: "A network has no more endpoints than the settings say", controls: [] }],
            labelKeys: [],
            needs: [],
            settingsSchema: JSON.stringify({
                type: "object",
                additionalProperties: false,
                properties: { max: { type: "integer", minimum: 1, default: 50 } },
            }),
        };
    },

    // Comes once, with the settings as JSON. Throws a list of all that is wrong with them.
    configure(text) {
        const faults = [];
        const fault = (field, message, remedy) => faults.push({ rule: "settings", message, field, remedy });
        const settings = JSON.parse(text);
        if (settings === null || typeof settings !== "object" || Array.isArray(settings)) {
            fault(undefined, "the settings are no object", 'such as {"max": 50}');
        } else {
            for (const key of Object.keys(settings)) {
                if (key !== "max") fault(key, "is not a known field", "known are max");
            }
            if ("max" in settings) {
                if (!Number.isInteger(settings.max) || settings.max < 1) fault("max", `is ${JSON.stringify(settings.max)}`, "a whole number from 1");
                max = settings.max;
            }
        }
        if (faults.length > 0) throw faults;
    },

    // Its opinion on a request. Violations if, and only if, it denies.
    evaluate({ network }) {
        const violations = [];
        if (network.endpoints >= max) {
            violations.push({
                rule: "too-many",
                message: `network ${network.name} has ${network.endpoints} endpoints, and may have ${max}`,
                remedy: "attach to another network, or detach what is no longer needed",
            });
        }
        return { outcome: violations.length > 0 ? "deny" : "allow", violations, warnings: [], notes: [] };
    },
};
