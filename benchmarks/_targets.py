"""Goals and reached values.

Takes: measured rows. Returns: a Markdown table, and a reason for each goal that is missed.
"""

FIRST = {"jax.grad(heat_currents)": 5, "cross_validate": 5, "diagnose": 6, "thermodynamic_response, all of it": 8}
GRID, OURS = "current on a grid of temperatures", "jaxlgks sweep"

WHY = {
    "eigenstates and transform": "QuTiP's eigenstates and change of basis are LAPACK and BLAS, as ours are; nothing is "
    "left to gain but the time of the verdict on the result.",
    "time over NumPy's": "NumPy knows that couplings are real and asks nothing of the result; here the imaginary "
    "parts are multiplied too, groups of frequencies are formed, and the state is checked.",
    "grid at one H": "a value takes some tens of ns, little more than its rates; a gradient is as many numbers more, "
    "and as many tangents of the elimination.",
    "scipy's least_squares": "a step of scipy costs six values of the model, a step here a value with its Jacobian "
    "(one and a half to five values) and one value more: less than three times as fast at equal steps, where "
    "arithmetic is what costs. More is gained where calls cost more than their arithmetic and by many starts at once, "
    "and lost where the valley is curved and steps are more; from one start the rest are checks and statistics of the "
    "result.",
    "an H each": "what the derivative keeps of ten thousand points does not fit into the cache; of three thousand it "
    "does.",
}


class Times:
    """Times by work, size and method."""

    def __init__(self, rows: list[dict]):
        self.rows = {(row["work"], row["size"], row["method"]): row for row in rows if row["success"]}

    def seconds(self, work: str, size: str, method: str) -> float | None:
        """Of one unit."""
        row = self.rows.get((work, size, method))
        return None if row is None else row["seconds"]

    def peak(self, work: str, size: str, method: str) -> float | None:
        """GB."""
        row = self.rows.get((work, size, method))
        return None if row is None else row["peak_gb"]

    def noted(self, work: str, size: str, method: str) -> float | None:
        """The number that a note begins with."""
        row = self.rows.get((work, size, method))
        return None if row is None else float(row["note"].split()[0])

    def rate(self, work: str, size: str, method: str) -> float | None:
        """Units per second."""
        seconds = self.seconds(work, size, method)
        return None if seconds is None else 1 / seconds

    def ratio(self, work: str, size: str, slow: str, fast: str) -> float | None:
        """Time of one method over that of another."""
        a, b = self.seconds(work, size, slow), self.seconds(work, size, fast)
        return None if a is None or b is None else a / b


def targets(rows: list[dict]) -> list[str]:
    """The table."""
    times = Times(rows)
    lines, missed = ["| goal | | reached |", "|---|---:|---:|"], []
    for what, value, way, limit in (*_sweeps(times), *_chains(times), *_others(times)):
        if value is not None:
            met = value >= limit if way == "≥" else value <= limit
            lines.append(f"| {what} | {way} {short(limit)} | {short(value)}{'' if met else ' (missed)'} |")
            missed += [] if met else [f"- {what}: {why}" for part, why in WHY.items() if part in what]
    missed = ["", "Why:", "", *missed] if missed else []
    return [*lines, *missed] if len(lines) > 2 else []


def _sweeps(times: Times) -> list[tuple]:
    over = lambda peer: times.ratio(GRID, "one H", peer, OURS)  # noqa: E731
    return [
        ("heat currents of two qubits per second, grid of temperatures", times.rate(GRID, "one H", OURS), "≥", 5e6),
        ("… frequency × temperatures", times.rate("current, frequency × temperatures", "10 H", OURS), "≥", 3e6),
        ("… unrelated points", times.rate("current, unrelated points", "H each", OURS), "≥", 1.5e5),
        ("grid, times faster than QuTiP without overhead", over('QuTiP steadystate(method="svd")'), "≥", 1e4),
        ("… than dynamiqs and a dense solve", over("dynamiqs generator, dense solve"), "≥", 200),
        ("… than plain dense JAX", over("plain JAX, dense solve"), "≥", 100),
        (
            "time over that of the rates alone",
            times.ratio(GRID, "one H", OURS, f"{OURS}, the rates alone"),
            "≤",
            4,
        ),
    ]


def _chains(times: Times) -> list[tuple]:
    ours, floor = "jaxlgks Populations()", "NumPy: eigh, rates, solve"
    rows = []
    for way in ("elements", "transform"):
        ratio = times.ratio("populations", "d=512", f"QuTiP eigenstates, {way}", ours)
        rows.append((f"populations, times faster than QuTiP's eigenstates and {way}, d = 512", ratio, "≥", 50))
    for d in (1024, 4096):
        rows.append(
            (f"populations, time over NumPy's, d = {d}", times.ratio("populations", f"d={d}", ours, floor), "≤", 2)
        )
    for name in ("Redfield", "UniversalLindblad"):
        for d, limit in ((512, 8), (1024, 60)):
            key = (name, f"d={d}", "jaxlgks Krylov()")
            rows.append((f"{name}, d = {d}, seconds", times.seconds(*key), "≤", limit))
            rows.append((f"{name}, d = {d}, peak memory in GB", times.peak(*key), "≤", 2))
            rows.append((f"{name}, d = {d}, iterations of GMRES", times.noted(*key), "≤", 25))
    return rows


def _others(times: Times) -> list[tuple]:
    rows = []
    for work, size, method in (
        ("two qubits, an H each, 5 parameters", "3·10³ points", "value and gradient"),
        ("two qubits, an H each, 5 parameters", "10⁴ points", "value and gradient"),
        ("two qubits, grid at one H", "10⁶ points", "value, gradient in 2 temperatures"),
        ("two qubits, grid at one H", "10⁶ points", "value, gradient in all 5 parameters"),
        *(("chain, all parameters", f"d={d}", "value and gradient") for d in (16, 64, 256)),
    ):
        rows.append((f"{method} over value: {work}, {size}", times.ratio(work, size, method, "value"), "≤", 3))
    phi = times.ratio("φ(τ) at 1,000 times", "d=16", "QuTiP, to 1e-10", "jaxlgks response().impulse()")
    cold = times.seconds("import and one steady state", "two qubits", "jaxlgks")
    pairs = times.seconds("static response of hot oscillators", "10⁵ pairs of temperatures", "jaxlgks response")
    rows.append(
        ("oscillators, 10⁵ pairs of temperatures of Fig. 3, seconds", None if pairs is None else 1e5 * pairs, "≤", 2)
    )
    for settings in ("optimal plan", "all different"):
        fits = f"two qubits, 5 parameters, 200 points, {settings}"
        for size in ("1 start(s)", "8 start(s)"):
            rows.append((f"fit, {settings}, seconds, {size}", times.seconds(fits, size, "jaxlgks fit"), "≤", 1))
            for how in ("", ", each setting once") if settings == "optimal plan" else ("",):
                faster = times.ratio(fits, size, f"scipy least_squares{how}", "jaxlgks fit")
                rows.append((f"fit, {settings}, times faster than scipy's least_squares{how}, {size}", faster, "≥", 10))
    for call, limit in FIRST.items():
        seconds = times.seconds("first call, CPU seconds", call, "jaxlgks")
        rows.append((f"first call in a fresh process, CPU seconds: {call}", seconds, "≤", limit))
    work, ours = "heat current of a steady cycle, 64 harmonics", "jaxlgks cycle"
    gradient = times.ratio(work, "d=4", "jaxlgks, gradient in 20 numbers", ours)
    relaxed = times.ratio("mean of ⟨σz⟩ in the steady cycle", "d=2", "QuTiP brmesolve until relaxed", ours)
    rows += [
        ("steady cycle, 64 harmonics, d = 4, seconds", times.seconds(work, "d=4", ours), "≤", 0.02),
        ("… gradient in 20 numbers over value", gradient, "≤", 4),
        ("steady cycle of a qubit, times faster than brmesolve until relaxed", relaxed, "≥", 50),
    ]
    return [
        *rows,
        ("φ at 1,000 times, times faster than QuTiP to 1e-10, d = 16", phi, "≥", 20),
        ("import and first steady state, seconds", cold, "≤", 4),
    ]


def short(x: float) -> str:
    """Three digits."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"
