"""How often readings lie above the threshold and incidents open, for a summary."""

from stream_vae.detect.rates import Rates


def rate_rows(asked: Rates, realised: Rates) -> list[tuple[str, str]]:
    """Return title and text of each rate that is known."""
    rates = (
        (
            "readings above the threshold per 1,000",
            "by detect.threshold.quantile, healthy ones among them; an incident takes more",
            asked.above_per_1000,
            realised.above_per_1000,
        ),
        (
            "incidents per series and week",
            "by detect.budget",
            asked.incidents_per_series_week,
            realised.incidents_per_series_week,
        ),
    )
    return [
        (title, f"{found:.3g}" if wanted is None else f"{found:.3g}, asked {wanted:.3g} {by}")
        for title, by, wanted, found in rates
        if found is not None
    ]
