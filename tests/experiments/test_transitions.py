import csv
import dataclasses

import matplotlib.image
import numpy as np
import pytest

from tf_equirl import dyna, experiments
from tf_equirl.dynamics.measures import transition_errors
from tf_equirl.models.widths import trained_parameters
from tf_equirl.reproductions import thesis
from tf_equirl.reproductions.thesis import Cell

pytestmark = pytest.mark.usefixtures("without_xla")


def _small(experiment, datasets, kinds, num_transitions, num_epochs):
    config = dataclasses.replace(
        experiment.config, hidden_units=(12,), num_epochs=num_epochs, batch_size=200
    )
    return dataclasses.replace(
        experiment,
        config=config,
        datasets={name: experiment.datasets[name] for name in datasets},
        kinds=kinds,
        num_transitions=num_transitions,
        num_validation=400,
    )


CARTPOLE = _small(
    thesis.cartpole_transitions(), ("joint", "left"), ("mlp", "gcnn-readout"), 1_000, 20
)
CATCH = _small(thesis.catch_transitions(), ("random",), ("gcnn-proximal",), 20_000, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


class _InterruptedOnce:
    """A call of the trainer, stopped by Ctrl-C after the first epoch of the second cell."""

    def __init__(self):
        self.folders, self.first_epochs = [], []

    def __call__(self, trainer, *arguments, **options):
        self.folders.append(arguments[4])
        reported = []

        def stop(progress):
            reported.append(progress.epochs)
            if len(self.folders) == 2 and progress.epochs == 1:
                raise KeyboardInterrupt

        assert trainer is dyna.fit_transition_model
        result = trainer(*arguments, **options, on_progress=stop)
        self.first_epochs.append(reported[0])
        return result


@pytest.fixture(scope="module")
def trained(folder):
    fit = _InterruptedOnce()
    with pytest.raises(KeyboardInterrupt):
        CARTPOLE.train(folder, 3, fit)
    results = CARTPOLE.train(folder, 3, fit)
    names = [str(path.relative_to(folder)) for path in fit.folders]
    joint = ["transitions-cartpole/joint/mlp", "transitions-cartpole/joint/gcnn-readout"]
    assert names[:4] == [*joint, *joint]
    # Training, nothing left to do, going on after the first epoch, training.
    assert fit.first_epochs[:4] == [0, 20, 1, 0]
    return results


@pytest.mark.parametrize("make", [thesis.cartpole_transitions, thesis.catch_transitions])
def test_the_kinds_differ_in_nothing_but_the_kind(make):
    experiment = make()
    assert list(experiment.datasets) == ["joint", "left", "random"]
    assert len(experiment.cells) == 12 and set(experiment.thesis) == {
        cell for cell in experiment.cells if cell.kind in ("mlp", "gcnn-proximal")
    }
    configs = [experiment.config_of(kind) for kind in experiment.kinds]
    assert {c.num_epochs for c in configs} == {experiment.config.num_epochs}
    assert len({dataclasses.replace(c, kind="mlp", match_parameters=None) for c in configs}) == 1
    sizes = [trained_parameters(experiment.model(kind)) for kind in experiment.kinds]
    np.testing.assert_allclose(sizes, sizes[0], rtol=0.1)


def test_interrupted_cells_go_on_and_finished_ones_are_taken_as_they_are(trained, folder):
    assert list(trained) == CARTPOLE.cells
    cell = Cell("joint", "gcnn-readout")  # the one that was interrupted
    whole = dyna.fit_transition_model(
        CARTPOLE.env,
        CARTPOLE.training_set("joint"),
        CARTPOLE.config_of("gcnn-readout"),
        range(3),
        validation=CARTPOLE.validation_set(),
    )
    np.testing.assert_array_equal(
        trained[cell].validation["mean_square"], whole.validation["mean_square"]
    )
    with pytest.raises(ValueError, match="differs in seeds"):
        CARTPOLE.train(folder, 2)  # more of them would be trained
    with pytest.raises(ValueError, match="`num_seeds` must be a positive integer"):
        CARTPOLE.train(folder, 0)


def test_parts_of_a_run_are_joined(trained):
    whole = trained[Cell("joint", "mlp")]

    def part(rows):
        return dataclasses.replace(
            whole,
            seeds=whole.seeds[rows],
            loss=whole.loss[rows],
            validation={name: values[rows] for name, values in whole.validation.items()},
            weights={role: [w[rows] for w in ws] for role, ws in whole.weights.items()},
        )

    joined = experiments.join_seeds([part(slice(1)), part(slice(1, 3))])
    assert (joined.seeds, joined.metric_names) == (whole.seeds, whole.metric_names)
    np.testing.assert_array_equal(joined.loss, whole.loss)
    np.testing.assert_array_equal(joined.validation["mean_square"], whole.validation["mean_square"])
    inputs = [np.ones((1, 4), np.float32), np.eye(2, dtype=np.float32)[:1]]
    np.testing.assert_array_equal(joined.model(2)(inputs), whole.model(2)(inputs))
    assert joined.run_seconds == pytest.approx(2 * whole.run_seconds)


def test_the_datasets_of_an_experiment():
    first = CARTPOLE.training_set("joint").state.physics
    assert not np.isin(CARTPOLE.validation_set().state.physics[:, 0], first).any()
    assert set(CARTPOLE.training_set("left").action) == {0}


def test_errors_by_angle_add_up_to_the_error_of_all(trained):
    cell = Cell("left", "mlp")
    whole = trained[cell]
    weights = {role: [w[:1] for w in ws] for role, ws in whole.weights.items()}
    alone = dataclasses.replace(whole, seeds=(0,), weights=weights)
    rows = thesis.errors_by_angle(CARTPOLE, {cell: alone})
    assert [row["angle_from"] for row in rows] == list(range(-12, 12))
    assert sum(row["training_transitions"] for row in rows) == 1_000
    counts = np.array([row["validation_transitions"] for row in rows])
    assert counts.sum() == 400
    squares = np.array([row["root_mean_square"] for row in rows]) ** 2
    total = np.nansum(counts * squares) / 400
    np.testing.assert_allclose(total, whole.validation["mean_square"][0, -1], rtol=1e-4)


def test_smaller_sets_are_parts_of_larger_ones_and_train_as_long(folder):
    calls = {}

    def fit(trainer, env, data, config, seeds, run_dir, *, validation, resume):
        calls[str(run_dir.relative_to(folder))] = (data, config)

    CARTPOLE.train_sizes(folder, 2, (100, 300, 1_000), ("joint",), fit)
    parts = [calls[f"transitions-cartpole-sizes/joint/mlp/{size}"] for size in (100, 300, 1_000)]
    rows = [{tuple(state) for state in data.state.physics} for data, _ in parts]
    assert [len(r) for r in rows] == [100, 300, 1_000]
    assert rows[0] < rows[1] < rows[2]
    assert {len(data) for data, _ in parts} == {1_000}
    assert len({config for _, config in parts}) == 1
    whole = CARTPOLE.training_set("joint")
    np.testing.assert_array_equal(parts[-1][0].state.physics, whole.state.physics)
    with pytest.raises(ValueError, match="sizes must lie between 1 and 1000"):
        CARTPOLE.train_sizes(folder, 2, (100, 1_001), ("joint",), fit)


def test_sizes_are_reported_and_drawn(trained, tmp_path):
    joint = {cell: result for cell, result in trained.items() if cell.dataset == "joint"}
    report = thesis.sizes_report(CARTPOLE, {300: joint, 1_000: joint})
    measures = [(row["measure"], row["at"]) for row in report.rows]
    assert measures.count(("mean square", 300)) == 2 and len(measures) == 6
    assert report.markdown.count("| expert and random |") == 2  # named once in each table
    image = tmp_path / "sizes.png"
    thesis.plot_sizes(CARTPOLE, {300: joint, 1_000: joint}, image)
    assert matplotlib.image.imread(image).shape[1] > 600


@pytest.mark.thorough
def test_tables_and_figures_share_the_runs_and_hold_their_numbers(trained, folder):
    checkpoints = sorted(folder.glob("*/*/*/checkpoint.npz"))
    before = [file.stat().st_mtime_ns for file in checkpoints]
    work = thesis.Work(folder, 3)
    for name, output in (
        ("table_transitions-cartpole", thesis.TABLES["transitions-cartpole"]),
        ("figure_4.6", thesis.FIGURES["4.6"]),
        ("figure_4.7", thesis.FIGURES["4.7"]),
    ):
        *_, told = thesis.produce(output._replace(make=lambda: CARTPOLE), work, name)
        assert told.startswith(f"{name.partition('_')[0]}: {folder / name}.")
    assert [file.stat().st_mtime_ns for file in checkpoints] == before and len(before) == 4
    for name in ("figure_4.6.png", "figure_4.7.png"):
        assert matplotlib.image.imread(folder / name).shape[1] > 1_000
    assert len((folder / "figure_4.7.csv").read_text().splitlines()) == 1 + 4 * 24

    page = (folder / "table_transitions-cartpole.md").read_text()
    with (folder / "table_transitions-cartpole.csv").open() as file:
        rows = {(r["measure"], r["dataset"], r["kind"], r["at"]): r for r in csv.DictReader(file)}
    final = {cell: result.validation["mean_square"][:, -1] for cell, result in trained.items()}
    for cell, values in final.items():
        row = rows["mean square", cell.dataset, cell.kind, ""]
        mean, error = experiments.mean_and_error(values)
        assert (float(row["mean"]), float(row["error"])) == (mean, error)
        assert f"**{experiments.rounded(*experiments.mean_and_error(1e4 * values))}**" in page
    assert rows["mean square", "left", "mlp", ""]["thesis"] == "0.45"
    ratio = rows["ratio of the MLP's mean square", "left", "gcnn-readout", ""]
    expected = final[Cell("left", "mlp")].mean() / final[Cell("left", "gcnn-readout")].mean()
    np.testing.assert_allclose(float(ratio["mean"]), expected, rtol=1e-6)
    assert float(ratio["low"]) < expected < float(ratio["high"])
    steps = [at for measure, dataset, kind, at in rows if measure.startswith("rollout")]
    assert steps == ["1", "2", "5", "10", "20", "50"] * 4


@pytest.mark.thorough
def test_the_catch_reports(folder, tmp_path):
    results = CATCH.train(folder, 2)
    ((cell, result),) = results.items()
    report = thesis.catch_report(CATCH, results)
    # 20,000 random transitions visit everything that can be reached.
    assert "random: 585." in report.markdown and "585 reachable pairs" in report.markdown
    row = next(r for r in report.rows if r["measure"] == "accuracy, training set")
    model, data = result.model(0), CATCH.training_set("random")
    weights = result.weights["transition_model"]
    direct = transition_errors(CATCH.env, model, weights, data)["accuracy"]
    np.testing.assert_allclose(row["mean"], direct.mean(), rtol=1e-5)
    thesis.plot_catch_errors(CATCH, results, tmp_path / "4.9.png")
    assert matplotlib.image.imread(tmp_path / "4.9.png").shape[1] > 1_000

    rows = thesis.equivariance_report([(CATCH, results)], 4).rows
    shares = {(row["models"], row["kind"]): row["output_share"] for row in rows}
    assert shares["Catch, untrained", "G-CNN, proximal"] == 1
    assert 0.8 < shares["Catch, untrained", "G-CNN, proximal, ties not averaged"] < 1
    assert shares["Catch, trained on random", "G-CNN, proximal"] == 1
    assert [row["count"] for row in rows] == [4, 4, 2]


def test_transition_images_are_correlated_in_the_middle_column_alone(tmp_path):
    correlation = thesis.plot_image_correlation(CATCH, tmp_path / "4.5.png", 300)
    board = correlation.reshape(11, 5)
    # 4 standard errors of r = 0; the mirror leaves the middle column in place.
    assert np.abs(np.delete(board, 2, axis=1)).max() < 4 / np.sqrt(300)
    assert board[:, 2].min() > 4 / np.sqrt(300)
    assert matplotlib.image.imread(tmp_path / "4.5.png").shape[1] > 600
