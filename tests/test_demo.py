"""The demo: a transfer in the terminal."""

import demo
from photos import photos

from helpers.images.tasks import Files


def test_the_demo_compares_on_drawings_or_on_a_folder_and_writes_its_figure(tmp_path, capsys):
    photos(tmp_path / "my_birds", robin=8, wren=8)
    files = Files(tmp_path / "cache")
    own = str(tmp_path / "my_birds"), {"per_class": 3, "files": files}
    for folder, settings in ((None, {"val": 1, "test": 2}), own):
        demo.main(folder, tmp_path, **{"size": 32} | settings)
        said = capsys.readouterr().out
        assert "copied  0 -> None" in said and "learnt on ImageNet" in said.split("accuracy %")[1] and "trained" in said
        assert (tmp_path / "demo.png").stat().st_size > 1000
        (tmp_path / "demo.png").unlink()
    assert "my_birds: 2 classes, 32 x 32 pixels" in said
