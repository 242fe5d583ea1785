"""The report: what was checked, what was found, and what is wrong in the paper.

Takes: rows by family and the figures drawn. Returns: one markdown file. The prose names no computed number that is not
in a row; what it says about the figures' parameters is evaluated here from the closed forms.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from . import _formulas as f
from ._parameters import FIG2_TEMPERATURES, OscillatorParameters
from .checks import Check, Verdict

CAPTIONS = {
    "fig2": "Response of the population of oscillator *a* in time. At the paper's temperatures (left) a truncated Fock "
    "space is out of reach: the points are computed from polynomials of the modes, without truncation; on the "
    "right from a "
    "truncated Fock space. Both follow the corrected form.",
    "fig3": "Steady response against the mean temperature. (a) The paper's range: printed, corrected, and computed "
    "without truncation. (b) Six decades: the response is linear in the temperature, not quadratic. (c), (d) "
    "Where brute force reaches; the printed and the corrected sum differ by less than the line width there, the "
    "rotation part alone does not.",
    "fig4": "Steady heat current from bath *a*. Lines: Eqs. (42), (43), (46); markers: `heat_currents` with `Davies()` "
    "and `Local`.",
    "fig5": "Steady heat current against the perturbation. The tangent at $\\delta = 0$ comes from "
    "`thermodynamic_response`. At $\\delta = 0$ exactly the Bohr frequencies are degenerate and Davies has two "
    "channels; at any other $\\delta$ it has four.",
    "crossover": "Steady heat current from bath *a* while $V = \\sigma_z^A\\sigma_z^B$ splits both groups of Bohr "
    "frequencies by $\\nu = 4\\,\\delta\\Omega$; $\\tau$ is their relaxation time, energies are in units of $\\omega$. "
    "(a) Relative change of the current. (b) Its symmetric difference quotient, beside the numerically exact one; "
    "inset: the difference of the two.",
    "resonance": "Steady heat current between two oscillators of frequency $\\omega$, each with a Drude–Lorentz bath "
    "that damps it at the rate $\\kappa$, beside the exact current of oscillators and baths. (a) At resonance Davies "
    "keeps a current where the coupling is below the damping and little flows. (b) Through resonance; the local "
    "equation, right as long as $g \\ll \\omega$, lies under the others. (c) Frequencies 1.5 and 1, $g = 0.1$: the "
    "local equation lets heat flow from cold to hot above $T_c/T_h = 2/3$.",
    "memory": "Heat current from bath *a* under a weak drive $\\delta\\,\\mathrm{Re}\\,e^{-i\\omega t}V$: size and "
    "phase of its susceptibility where dissipators follow the drive at once and where they follow with the memory of "
    "the baths (both the Redfield equation with its Lamb shift), beside the numerically exact one.",
    "delay": "Response of the population of oscillator *a* to a kick of the cubic potential at the temperatures of "
    "Fig. 2, with the Drude–Lorentz baths that have the paper's rates at $\\omega_\\pm$, all scaled down: with the "
    "rates themselves the minus mode is unstable. (a) $\\phi(\\tau)$ with a tenth of the rates; inset: its start, "
    "where a kick acts on the system alone and $\\phi(0^+) = 0$. (b) Deviation from oscillators and baths solved "
    "together. (c) Its largest value falls as the square of the coupling with memory, more slowly at once.",
    "drive": "Steady cycles of a qubit, $H(t) = \\sigma_z/2 + \\delta \\sin(\\omega t)\\,\\sigma_z$, $\\omega = 2$, "
    "on a Drude–Lorentz bath coupled by $\\sigma_x + 0.3\\,\\sigma_z$, from weak to strong drive. Lines: the Redfield "
    "equation with its Lamb shift. QuTiP's solvers: `brmesolve` (instantaneous eigenstates), which follows at once, "
    "and `fmmesolve` (Floquet modes, secular), which has the mean and no harmonic. (d)–(f) A heat pump: two qubits, "
    "$0.4\\,\\sigma_x^A\\sigma_x^B$, each on a Drude–Lorentz bath, both of temperature 0.3, whose splittings "
    "$1 + 0.5\\cos\\omega t$ and $1 + 0.5\\cos(\\omega t - \\varphi)$ go round a loop; $\\varphi = \\pi/2$ in (d) and "
    "(e), $\\lambda = 0.005$. What a slow loop pumps does not depend on its speed, nor, as the coupling goes to zero, "
    "on the baths, if they are alike: dashed, in closed form. Faster than relaxation, about $2.5\\lambda$, the qubits "
    "do not follow.",
}


def write_report(path: Path, checks: dict[str, list[Check]], figures: Sequence[str]) -> Path:
    """Write the report; figures are embedded by their file names, beside it."""
    parts = [_text("introduction"), _summary(checks), _text("findings"), _text("crossover"), _validity()]
    parts.append("## Figures\n\n" + "\n".join(_embed(name) for name in figures))
    parts.append("## All rows\n")
    parts += [f"### {title}\n\n{_table(rows)}" for title, rows in checks.items()]
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _summary(checks: dict[str, list[Check]]) -> str:
    rows = [row for family in checks.values() for row in family]
    counts = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    lines = [f"| {verdict} | {count} |" for verdict, count in counts.items()]
    wrong = [f"- {row.equation}: {row.statement}" for row in rows if not row.good]
    note = "\n\nRows that disagree:\n\n" + "\n".join(wrong) if wrong else ""
    return "\n".join(["| verdict | rows |", "|---|---:|", *lines]) + note + "\n"


def _validity() -> str:
    """What δ ≪ n^{−1/2} means at the parameters of Fig. 2."""
    p = OscillatorParameters()
    n = float(f.mean_bose(p.minus, *FIG2_TEMPERATURES))
    values = {
        "occupation": f"{n:.0f}",
        "delta": f"{p.delta:g}",
        "ratio": f"{30 * p.delta**2 * n:.1f}",
        "barrier": f"{p.minus / (432 * p.delta**2):.0f}",
        "temperature": f"{sum(FIG2_TEMPERATURES) / 2:.0f}",
    }
    text = _text("validity")
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def _text(name: str) -> str:
    return resources.files("jaxlgks.paper").joinpath("text", f"{name}.md").read_text(encoding="utf-8")


def _embed(name: str) -> str:
    title = figure_title(name)
    return f"![{title}]({name}.png)\n\n**{title}.** {CAPTIONS[name]} Numbers: `{name}.nc`.\n"


def figure_title(name: str) -> str:
    """Fig. 2 for "fig2"; the one beside the paper's has a name instead of a number."""
    return f"Fig. {name.removeprefix('fig')}" if name.startswith("fig") else name.capitalize()


def _table(rows: Sequence[Check]) -> str:
    head = "| equation | statement | expected | computed | relative difference | allowed | verdict |"
    return "\n".join([head, "|---|---|---:|---:|---:|---|---|", *(_line(row) for row in rows)]) + "\n"


def _line(row: Check) -> str:
    difference = "" if row.difference is None else f"{row.difference:.1e}"
    allowed = "" if row.tolerance is None else f"{row.tolerance:.0e}: {row.reason}"
    cells = (row.equation, row.statement, row.expected, row.computed, difference, allowed, _verdict(row))
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _verdict(row: Check) -> str:
    return str(row.verdict) if row.verdict is Verdict.AGREES else f"**{row.verdict}**"


def _escaped(text: str) -> str:
    """Markdown takes a bare | for the end of a cell, and * and _ for emphasis."""
    return text if text.startswith("**") else text.replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
