"""Settings of the property tests: no deadline (two cores, other work beside), nothing stored."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "tiergate",
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tiergate")
