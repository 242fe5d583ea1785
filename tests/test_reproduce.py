"""The reproduction of the paper: rows that can fail, figures with the right contents, the same numbers twice."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import image

from jaxlgks import paper
from jaxlgks.errors import InputError
from jaxlgks.paper import _reproduce
from jaxlgks.paper._report import write_report
from jaxlgks.paper.checks import FAMILIES, Verdict
from jaxlgks.paper.checks._row import agree, correct, hold, vanish
from jaxlgks.paper.figures import FIGURES

HEOM = Path(__file__).parent / "reference" / "two_qubit_heom.json"


def _silent(step):
    del step


def _reproduced(names: tuple[str, ...], folder: Path) -> tuple[Path, str]:
    """Files and report of `jaxlgks reproduce`: of the run before, if JAXLGKS_RESULTS says where that wrote all of them
    (as CI does, whose first line is that command), else made anew."""
    if "JAXLGKS_RESULTS" in os.environ:
        folder = Path(os.environ["JAXLGKS_RESULTS"])
    else:
        outcome = paper.reproduce(names, folder)
        assert outcome.good, [row for rows in outcome.checks.values() for row in rows if not row.good]
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert f"| {Verdict.DISAGREES} | 0 |" in text
    return folder, text


def test_a_row_agrees_or_disagrees():
    assert agree("(1)", "same", [1.0, 2.0], [1.0, 2.0 + 1e-9], 1e-8).verdict is Verdict.AGREES
    assert agree("(1)", "other", [1.0, 2.0], [1.0, 2.1], 1e-8).verdict is Verdict.DISAGREES
    assert agree("(1)", "not a number", 1.0, np.nan, 1e-8).verdict is Verdict.DISAGREES
    assert vanish("(1)", "zero", 1e-15, 1.0, 1e-12).good
    assert not vanish("(1)", "not zero", 1e-3, 1.0, 1e-12).good
    assert not hold("(1)", "sign", "> 0", "-1", -1 > 0).good
    with pytest.raises(ValueError, match="shapes"):
        agree("(1)", "shapes", [1.0], [1.0, 2.0], 1e-8)


def test_a_printed_form_is_refuted_only_by_a_correction_that_holds():
    printed, corrected = correct("(1)", "s", 1.0, 2.0, 2.0, 1e-6)
    assert (printed.verdict, corrected.verdict) == (Verdict.PAPER_WRONG, Verdict.AGREES)
    printed, corrected = correct("(1)", "both wrong", 1.0, 3.0, 2.0, 1e-6)
    assert not printed.good
    assert not corrected.good
    printed, _ = correct("(1)", "the print is right", 2.0, 2.0, 2.0, 1e-6)
    assert not printed.good


def test_figures_are_chosen_by_name_in_the_papers_order():
    assert (
        _reproduce.selected(())
        == paper.FIGURES
        == ("fig2", "fig3", "fig4", "fig5", "crossover", "resonance", "memory", "delay", "drive")
    )
    assert _reproduce.selected(("fig5", "fig2")) == ("fig2", "fig5")
    assert _reproduce.selected(("crossover", "fig3")) == ("fig3", "crossover")
    assert _reproduce.selected(("fig5", "all")) == paper.FIGURES
    message = r"unknown figure fig1, fig9; .* fig5, crossover, resonance, memory, delay, drive and all"
    with pytest.raises(InputError, match=message):
        _reproduce.selected(("fig1", "fig2", "fig9"))


def test_report_escapes_what_markdown_would_read(tmp_path):
    row = agree("(1)", "|a_b*", 1.0, 1.0, 1e-9, "why")
    text = write_report(tmp_path / "report.md", {"Family": [row]}, ["fig4", "crossover"]).read_text(encoding="utf-8")
    assert "| (1) | \\|a\\_b\\* | 1 | 1 | 0.0e+00 | 1e-09: why | agrees |" in text
    assert "![Fig. 4](fig4.png)" in text
    assert "![Crossover](crossover.png)" in text
    assert not [name for name in ("occupation", "delta", "ratio", "barrier", "temperature") if f"{{{name}}}" in text]


def _relative(a, b):
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(np.asarray(b))))


def test_figure_5_formulas_and_computed_points(tmp_path):
    """A cheap figure, whole: numbers, labels, files."""
    (tmp_path / "again").mkdir()
    paths = _reproduce._figure("fig5", tmp_path, _silent)
    assert [path.name for path in paths] == ["fig5.nc", "fig5.png", "fig5.pdf"]
    data = xr.load_dataset(tmp_path / "fig5.nc", engine="h5netcdf")
    assert all(array.attrs["units"] and array.attrs["long_name"] for array in data.variables.values())
    for curve in ("global", "local"):
        at_points = data[curve].sel(shift=data["shift_point"].values)
        # LU with rates of e^{−30} between levels at T̄ = 50 leaves 1e−7 of the current.
        assert _relative(data[f"{curve}_computed"][0], at_points[0]) < 1e-6
        assert _relative(data[f"{curve}_computed"][1], at_points[1]) < 1e-9
    slope = data["slope"] / data["unperturbed"]
    assert float(slope[0]) == pytest.approx(0.03081, abs=5e-6)  # printed digits
    assert float(data["local_slope"][0] / data["unperturbed"][0]) == pytest.approx(-0.0025, abs=5e-6)
    picture = image.imread(tmp_path / "fig5.png")
    assert picture.shape[1] > 1400  # 9.2 inches at 160 dpi
    assert (tmp_path / "fig5.pdf").read_bytes().startswith(b"%PDF")
    again = _reproduce._figure("fig5", tmp_path / "again", _silent)  # the same bytes a second time
    assert [path.read_bytes() for path in again[1:]] == [path.read_bytes() for path in paths[1:]]
    xr.testing.assert_identical(data, xr.load_dataset(again[0], engine="h5netcdf"))


def test_crossover_figure_and_rows(tmp_path):
    """A cheap family, whole. What is expected is read from the reference, not from the copy in the package."""
    folder, report = _reproduced(("crossover",), tmp_path)
    section = report.split(f"### {FAMILIES['crossover'][0]}")[1].split("###")[0]
    assert len([line for line in section.splitlines() if line.startswith("|")]) == 2 + 17
    reference = json.loads(HEOM.read_text(encoding="utf-8"))
    data = xr.load_dataset(folder / "crossover.nc", engine="h5netcdf")
    assert all(array.attrs["units"] and array.attrs["long_name"] for array in data.variables.values())
    assert "omega" in data.attrs["convention"]
    heom = reference["heom"]["rows"]
    assert data["shift_point"].values == pytest.approx([row["delta_Omega"] for row in heom], rel=1e-15)
    assert data["slope_exact"].values == pytest.approx([row["slope"] for row in heom], rel=1e-15)
    at_points = data["slope_at_points"]
    stored = [row["slope"] for row in reference["unified"]["rows"]]
    assert at_points.sel(equation="unified").values == pytest.approx(stored, abs=6e-5)  # four digits
    for equation in ("unified", "davies", "redfield", "universal"):
        assert _relative(at_points.sel(equation=equation), data["slope_exact"]) < 3e-4
    # Smooth down to δΩ = 1e−7: no rounding that an eye could see, and the value at δ → 0.
    small = data["slope"].where(data["nu_tau"] < 0.1, drop=True)
    assert small.sizes["shift"] > 10
    assert float(abs(small.sel(equation="local") + 1.7511).max()) < 1e-4
    assert float((small.max("shift") - small.min("shift")).max()) < 1e-6
    picture = image.imread(folder / "crossover.png")
    assert picture.shape[1] > 1400


CONTENTS = {
    "fig2": {"kubo_paper", "rotation_printed_paper", "rotation_corrected_paper", "kubo_computed", "rotation_computed"},
    "fig3": {"total_printed_mean", "total_corrected_mean", "total_computed", "rotation_computed"},
    "fig4": {f"{name}_{axis}" for name in ("unperturbed", "local", "global") for axis in ("difference", "mean")},
    "fig5": {"unperturbed", "local", "global", "tangent", "slope", "global_computed", "local_computed"},
    "crossover": {"unperturbed", "forward", "backward", "slope", "slope_at_points", "slope_exact", "nu_tau"},
    "resonance": {"exact_coupling", "davies_detuning", "unified_detuning", "local_cold"},
    "memory": {f"{what}_{which}" for what in ("size", "phase") for which in ("at_once", "memory", "exact")},
    "delay": {"exact", "with_memory", "at_once", "closed_deviation"},
    "drive": {f"{what}_{which}" for what in ("mean", "first", "current") for which in ("at_once", "memory", "heom")}
    | {"pumped", "pumped_heom", "pumped_phase", "pumped_limit", "pump_work"},
}


EQUATIONS = (
    "(1)", "(23)", "(24)", "(27), (28)", "(B7)", "(30)", "(31)", "(32)", "(34)", "(35)", "(36)", "(42)", "(43)", "(44)",
    "(45)", "(46)", "(48)", "(50), (51)", "(52)", "(53)", "(D11)", "(B10)", "(B11)", "(B12)", "(B13)", "(B21)", "(D4)",
    "(D1)", "below (B10)", "Sec. III C", "(43) at ντ ≪ 1",
)  # fmt: skip


@pytest.mark.slow
def test_everything(tmp_path):
    """Every row good, every equation among them, every file written with what it should hold."""
    folder, report = _reproduced((), tmp_path)
    checked = [re.split(r"(?<!\\)\|", line)[1] for line in report.splitlines() if line.startswith("| ")]
    for equation in EQUATIONS:
        assert any(equation in cell for cell in checked), equation
    names = {f"{figure}.{kind}" for figure in FIGURES for kind in ("nc", "png", "pdf")} | {"report.md"}
    assert names <= {path.name for path in folder.iterdir()}
    for figure, variables in CONTENTS.items():
        assert variables <= set(xr.load_dataset(folder / f"{figure}.nc", engine="h5netcdf").data_vars)
