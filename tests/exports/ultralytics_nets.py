"""Detectors as the package ultralytics writes them: its exporter, from its descriptions, with random weights."""
import contextlib
import io
import logging
import os
import pathlib
import tempfile

import numpy as np
import torch

from recording import Recorder, Refused, first_line

FORMS = ("static", "open", "static-nms", "open-nms")  # nms: with the choice of boxes in the graph
WITH_NMS = ("yolov8n", "yolo11n", "yolo11n-seg", "yolo11n-pose", "yolo11n-obb")
NETS = {name: name for name in (
    "yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov8n-ghost", "yolov8n-p2", "yolov8n-worldv2", "yolov9t", "yolov10n",
    "yolo11n", "yolo11n-seg", "yolo11n-pose", "yolo11n-obb", "yolo11n-cls", "yoloe-11n", "yolo12n", "yolo26n", "yolo26n-seg",
    "yolo26n-pose", "yolo26n-obb", "yolo26n-depth", "yolo26n-sem", "yolov8n-rtdetr", "rtdetr-resnet50")}
SIDE = 160


def export(name, form, target):
    os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="false")
    from ultralytics import RTDETR, YOLO
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    torch.manual_seed(1)
    net = (RTDETR if "rtdetr" in name else YOLO)(f"{name}.yaml")
    more = {"nms": True} if form.endswith("nms") else {}
    made = net.export(format="onnx", imgsz=SIDE, dynamic=form.startswith("open"), simplify=False, verbose=False, **more)
    pathlib.Path(made).replace(target)


def images(recorder, sizes, seed):
    rng = np.random.default_rng(seed)
    return {name: rng.random(sizes, np.float32) for name in recorder.inputs}


def make(name, form, folder):
    recorder = Recorder(folder)
    try:
        if form.endswith("nms") and name not in WITH_NMS:
            raise Refused("boxes are chosen in the graph for some nets alone")
        target = recorder.path.resolve()  # before the folder is another
        with tempfile.TemporaryDirectory(dir=folder) as scratch, contextlib.chdir(scratch), \
                contextlib.redirect_stdout(io.StringIO()):
            try:
                export(name, form, target)
            except Exception as e:  # so many steps
                raise Refused(f"exporter: {type(e).__name__}: {first_line(e)}") from e
        recorder.open()
        recorder.add(images(recorder, [1, 3, SIDE, SIDE], 1))
        if form.startswith("open"):
            recorder.add_other(images(recorder, [2, 3, SIDE - 32, SIDE + 32], 2))
    except Refused as e:
        recorder.refuse(e)
