from types import SimpleNamespace

import pytest
from conftest import run_of

from support import report, run_folder


def results(history, data="CIFAR-10", script="cnn.py", images="i", seconds=(1, 2)):
    record = {"script": script, "data": data, "training set": images, "test set": "t"}
    record["layers"] = [{"parameters": 1000}, {"parameters": 234}]
    return SimpleNamespace(record=record, history=history, cpu_seconds=list(seconds))


def history(train, test, loss):
    return {"accuracy": train, "val_accuracy": test, "val_loss": loss}


@pytest.mark.parametrize(
    ("train", "test", "epoch"),
    [
        ([0.5, 0.6, 0.7, 0.8], [0.5, 0.58, 0.6, 0.6], 3),
        ([0.5, 0.6, 0.7, 0.8], [0.4, 0.58, 0.6, 0.6], 3),  # ahead, together again, ahead
        ([0.5, 0.6], [0.4, 0.5], 1),
        ([0.5, 0.7, 0.6], [0.5, 0.6, 0.6], None),
        ([0.41], [0.46], None),
    ],
)
def test_from_which_epoch_the_training_accuracy_is_ahead(train, test, epoch):
    assert report.ahead_epoch(history(train, test, [1])) == epoch


def test_over_fitting_is_said_where_both_signs_are_there(capsys):
    report.print_result(results(history([0.5, 0.7, 0.9], [0.5, 0.62, 0.6], [2, 1, 1.5])))
    said = capsys.readouterr().out
    assert "Best test accuracy: 62.0%, in epoch 2." in said
    assert "training accuracy 90.0%, test accuracy 60.0%" in said
    assert "From epoch 2 on the training accuracy is 5 points or more ahead" in said
    assert "lowest in epoch 2, and rises while the network still learns: over-fitting" in said
    assert "not those of CIFAR-10" not in said
    of_a_folder = results(history([0.5], [0.5], [1]), "the images in CIFAR-10")
    report.print_result(of_a_folder)
    assert "not those of CIFAR-10" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("train", "test", "loss"),
    [([0.41], [0.46], [1]), ([0.3, 0.9], [0.2, 0.5], [2, 1]), ([0.5, 0.6], [0.5, 0.6], [1, 2])],
)
def test_and_not_where_the_numbers_do_not_carry_it(capsys, train, test, loss):
    report.print_result(results(history(train, test, loss), "the built-in sample"))
    said = capsys.readouterr().out
    assert "over-fitting" not in said
    assert "-" not in said.replace("built-in", "").replace("CIFAR-10", "")
    assert "not those of CIFAR-10 but the built-in sample" in said


def keep_cnn(images="i"):
    report.CNN.parent.mkdir(parents=True)
    cnn = results(history([0.4, 0.7], [0.45, 0.65], [2, 1]), images=images)
    with open(report.CNN, "wb"):
        pass
    run_folder.write_state(report.CNN, run_of(cnn.record, cnn.history, cnn.cpu_seconds))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


GAP = results(history([0.5, 0.6], [0.51, 0.56], [2, 1]), script="cnn_with_gap.py", seconds=[40, 50])


def test_beside_the_result_stands_that_of_cnn(capsys, elsewhere):
    keep_cnn()
    report.compare_with_cnn(GAP)
    lines = capsys.readouterr().out.splitlines()
    rows = [" ".join(line.split()) for line in lines[-3:-1]]
    assert rows[0] == "cnn_with_gap.py 51.0% 56.0% 56.0% in epoch 2 epoch 1 90 s"
    assert rows[1] == "cnn.py 45.0% 65.0% 65.0% in epoch 2 epoch 2 3 s"
    assert lines[-1] == (
        "Beside cnn.py: -9.0 points at its best, 1.00 times the parameters, 30.0 times the CPU time."
    )


def test_the_first_three_epochs_are_shown_and_where_50_percent_was_never_reached(capsys, elsewhere):
    test = [0.1, 0.2, 0.3, 0.49, 0.4]
    report.compare_with_cnn(results(history([0.1] * 5, test, [1] * 5), script="cnn_with_gap.py"))
    row = capsys.readouterr().out.splitlines()[-2]
    assert " ".join(row.split()) == "cnn_with_gap.py 10.0% 20.0% 30.0% 49.0% in epoch 4 none 3 s"


@pytest.mark.parametrize("cnn", ["not there", "of other images", "damaged"])
def test_or_nothing_where_that_does_not_compare(capsys, elsewhere, cnn):
    if cnn == "of other images":
        keep_cnn(images="others")
    elif cnn == "damaged":
        report.CNN.parent.mkdir(parents=True)
        report.CNN.write_text("damaged")
    report.compare_with_cnn(GAP)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("cnn_with_gap.py")
    assert lines[-1].startswith("python cnn.py on the same images adds its row")
