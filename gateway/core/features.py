"""What a request can ask for: the words in which dialects say what they can carry."""

from enum import StrEnum


class Feature(StrEnum):
    """The documentation's table has a row for each, in this order."""

    SYSTEM = "system prompt"
    DEVELOPER = "developer messages in their place"
    NAMES = "names of participants"
    TOOLS = "tools"
    STRICT_TOOLS = "strict tools"
    TOOL_CHOICE = "tool choice"
    ONE_TOOL = "one tool call at most"
    TOOL_ERRORS = "tool results marked as errors"
    TOOL_MEDIA = "images and files in tool results"
    IMAGE_URL = "images by URL"
    IMAGE_DATA = "images inline"
    FILE_URL = "files by URL"
    FILE_DATA = "files inline"
    AUDIO = "audio input"
    JSON_MODE = "JSON output"
    JSON_SCHEMA = "JSON Schema output"
    MAX_TOKENS = "token limit"
    STOP = "stop sequences"
    TEMPERATURE = "temperature"
    TOP_P = "top_p"
    TOP_K = "top_k"
    PENALTIES = "presence and frequency penalties"
    SEED = "seed"
    N = "several answers"
    LOGPROBS = "logprobs"
    EFFORT = "reasoning effort"
    BUDGET = "reasoning budget"
    REASONING = "reasoning of earlier turns"
    CITATIONS = "citations"
    USER = "user"
    METADATA = "metadata"
    CACHE_CONTROL = "cache-control markers"
    PREFILL = "the answer's beginning"


# Without them an answer is still one to the same request, if perhaps another: a policy may allow to
# leave them out. What is said, what the model may use and what form its answer has is not here.
PARAMETERS = frozenset(
    {
        Feature.DEVELOPER,  # its place: it is told with the system prompt
        Feature.NAMES,
        Feature.STRICT_TOOLS,
        Feature.ONE_TOOL,
        Feature.TOOL_ERRORS,
        Feature.STOP,
        Feature.TEMPERATURE,
        Feature.TOP_P,
        Feature.TOP_K,
        Feature.PENALTIES,
        Feature.SEED,
        Feature.N,
        Feature.LOGPROBS,
        Feature.EFFORT,
        Feature.BUDGET,
        Feature.REASONING,
        Feature.CITATIONS,
        Feature.USER,
        Feature.METADATA,
        Feature.CACHE_CONTROL,
    }
)
