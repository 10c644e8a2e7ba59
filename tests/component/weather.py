"""The exchange that every client has with every provider: a question, two calls, their results."""

from base64 import b64encode

from pydantic import BaseModel

from tests.component.heard import Heard, heard, proofs, said, without_proofs
from tests.component.providers import PROOFS, THINKING, Call, Json, Provider, Said

SYSTEM = "Answer in one sentence."
QUESTION = "Does it rain in Köln and in Ulm?"
LOOK = "Let me look. ☔ Two places, so two calls."
REPLY = "It rains in Köln, and Ulm has sun: 漢字 for good measure."

TOOL = "get_weather"
ABOUT = "The weather in a city."
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
RAIN = {"Köln": "rain, 9 °C", "Ulm": "sun"}
CALLS = tuple(Call(TOOL, {"city": city}) for city in RAIN)

FIRST = Said(LOOK, CALLS, THINKING)
SECOND = Said(REPLY)
PLAIN = Said(REPLY, thought=THINKING)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
PNG_BASE64 = b64encode(PNG).decode()

ASKED = [said("system", SYSTEM), said("user", QUESTION)]
CALLED = [
    *ASKED,
    said("said", LOOK),
    *(said("call", TOOL, {"city": city}) for city in RAIN),
    *(said("result", TOOL, weather) for weather in RAIN.values()),
]


class Place(BaseModel):
    name: str
    country: str


class Trip(BaseModel):
    place: Place
    days: int
    notes: list[str]


TRIP = Trip(place=Place(name="Köln", country="DE"), days=3, notes=["umbrella", "„gut“"])
TYPED = Said(TRIP.model_dump_json())


def told(provider: Provider, number: int = -1) -> list[Heard]:
    """What the provider was told, without the proofs of reasoning."""
    return without_proofs(heard(provider.dialect, provider.asked[number]))


def check_loop(provider: Provider, *, has_proof: bool = True) -> None:
    """It was asked twice: the question, and then with all that was said since, its own reasoning's
    proof as it gave it, if its client has one to give back."""
    assert len(provider.asked) == 2
    first, second = (heard(provider.dialect, asked) for asked in provider.asked)
    assert first == ASKED
    assert without_proofs(second) == CALLED
    assert proofs(second) == ([PROOFS[provider.dialect]] if has_proof else [])
