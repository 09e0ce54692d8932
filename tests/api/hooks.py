"""What Schemathesis is to know besides the description."""

import schemathesis


@schemathesis.serializer("application/wasm")
def wasm(_ctx, value):
    """Modules are bytes."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode()
