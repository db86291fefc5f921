#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The script for 3D Slicer with fakes in place of Slicer: the rule of age, and that mask and outline are hidden by it."""
import os
import pathlib
import sys
import types
import unittest

ROOT = pathlib.Path(os.environ.get("SONO_SOURCE_DIR", pathlib.Path(__file__).resolve().parent.parent.parent))
SCRIPT = ROOT / "packaging/slicer/sonoseg_slicer.py"


def load():
    """The script's names, as exec() in Slicer's console makes them."""
    names = {"__name__": "__main__"}
    exec(compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec"), names)
    return names


class Node:
    """A node of the scene that remembers what it was told; a method that Slicer's does not have here is an error."""
    ALLOWED = {"SetTypeToUser", "SetNumberOfColors", "SetAndObserveColorNodeID", "SetLineWidth", "SetLighting",
               "SetVisibility2D", "SetTypeClient", "Start", "Stop", "RotateToVolumePlane", "JumpSliceByOffsetting"}

    def __init__(self, kind, name, parents=()):
        self.kind, self.name, self.parents = kind, name, parents
        self.calls, self.observers, self.colours = [], {}, {}
        self.label, self.visible, self.display = None, None, None

    def __getattr__(self, method):
        if method not in Node.ALLOWED:
            raise AttributeError(f"{self.kind} has no {method}")
        return lambda *values: self.calls.append((method, *values))

    def GetName(self):
        return self.name

    def GetID(self):
        return self.kind + "-" + self.name

    def IsA(self, kind):
        return kind == self.kind or kind in self.parents

    def CreateDefaultDisplayNodes(self):
        self.display = self.display or Node("display", self.name)

    def GetDisplayNode(self):
        return self.display

    def SetColor(self, *values):
        self.colours[values[0]] = values[1:]

    def SetVisibility(self, is_visible):
        self.visible = bool(is_visible)

    def GetLabelVolumeID(self):
        return self.label

    def SetLabelVolumeID(self, volume):
        self.label = volume

    def GetImageData(self):
        return object()

    def GetRASBounds(self, bounds):
        bounds[:] = [0, 10, 20, 40, -4, 4]

    def AddObserver(self, event, function):
        self.observers[len(self.observers)] = (event, function)
        return len(self.observers) - 1

    def RemoveObserver(self, tag):
        del self.observers[tag]

    def message(self, event):
        """What OpenIGTLinkIF does with a message: it modifies the node."""
        for expected, function in list(self.observers.values()):
            if expected == event:
                function(self, event)


PARENTS = {"vtkMRMLLabelMapVolumeNode": ("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeNode"),
           "vtkMRMLScalarVolumeNode": ("vtkMRMLVolumeNode",)}


class Scene:
    def __init__(self):
        self.nodes = []

    def AddNewNodeByClass(self, kind, name):
        self.nodes.append(Node(kind, name, PARENTS.get(kind, ())))
        return self.nodes[-1]

    def RemoveNode(self, node):
        self.nodes.remove(node)

    def GetFirstNode(self, name, kind):
        return next((node for node in self.nodes if node.name == name and node.IsA(kind)), None)


class Slicer:
    """As much of Slicer as the script uses."""

    def __init__(self):
        self.mrmlScene = Scene()
        self.messages = []
        self.composites = [self.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", view)
                           for view in ("Red", "Yellow", "Green")]
        self.slice = Node("vtkMRMLSliceNode", "Red")
        self.layers = []
        widget = types.SimpleNamespace(mrmlSliceNode=lambda: self.slice)
        layout = types.SimpleNamespace(sliceWidget=lambda view: widget if view == "Red" else None)
        self.app = types.SimpleNamespace(layoutManager=lambda: layout)
        self.vtkMRMLModelNode = types.SimpleNamespace(MeshModifiedEvent="mesh")
        self.vtkMRMLIGTLConnectorNode = object
        self.util = types.SimpleNamespace(
            getNodesByClass=lambda kind: [node for node in self.mrmlScene.nodes if node.IsA(kind)],
            setSliceViewerLayers=self.set_layers,
            showStatusMessage=lambda text, _ms: self.messages.append(text))

    def set_layers(self, label=None, labelOpacity=None, background=None, fit=False):
        self.layers.append((label, background))
        for composite in self.composites if label else []:
            composite.label = label.GetID()


class Timer:
    def __init__(self):
        self.is_running = False

    def setInterval(self, interval_ms):
        self.interval_ms = interval_ms

    def connect(self, signal, function):
        assert signal == "timeout()"
        self.function = function

    def start(self):
        self.is_running = True

    def stop(self):
        self.is_running = False


class AgeTest(unittest.TestCase):
    def test_rule(self):
        age = load()["SonosegAge"](0.5)
        self.assertFalse(age.tick(100.0), "nothing is shown yet")
        self.assertIsNone(age.silent_s(100.0))
        self.assertTrue(age.heard(100.0), "the first message shows it")
        self.assertFalse(age.heard(100.1), "it is shown already")
        self.assertFalse(age.tick(100.6), "not older than the limit")
        self.assertTrue(age.tick(100.61), "hidden once ...")
        self.assertFalse(age.tick(100.7), "... and only once")
        self.assertAlmostEqual(age.silent_s(100.7), 0.6)
        self.assertTrue(age.heard(200.0), "the next message shows it again")

    def test_clock_backwards(self):
        age = load()["SonosegAge"](0.5)
        age.heard(100.0)
        self.assertTrue(age.tick(99.0))


class ViewTest(unittest.TestCase):
    def setUp(self):
        self.names = load()
        self.slicer = Slicer()
        self.now_s = 50.0
        self.timers = []
        qt = types.SimpleNamespace(QTimer=self.make_timer)
        vtk = types.SimpleNamespace(vtkCommand=types.SimpleNamespace(ModifiedEvent="modified"))
        self.modules = {"slicer": self.slicer, "qt": qt, "vtk": vtk}
        self.saved = {name: sys.modules.get(name) for name in self.modules}
        sys.modules.update(self.modules)

    def tearDown(self):
        for name, module in self.saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module

    def make_timer(self):
        self.timers.append(Timer())
        return self.timers[-1]

    def start(self, **options):
        return self.names["sonoseg"]("127.0.0.1", 18945, clock=lambda: self.now_s, **options)

    def labels(self):
        return [composite.label for composite in self.slicer.composites]

    def test_nodes(self):
        old = self.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "BoneMask")
        view = self.start()
        self.assertNotIn(old, self.slicer.mrmlScene.nodes, "a grey volume would get the messages")
        self.assertTrue(view.mask.IsA("vtkMRMLLabelMapVolumeNode"))
        connector = view.connectors[0]
        self.assertEqual(connector.calls, [("SetTypeClient", "127.0.0.1", 18945), ("Start",)])
        colours = self.slicer.mrmlScene.GetFirstNode("BoneMaskColors", "vtkMRMLColorTableNode")
        self.assertEqual(colours.colours[0][-1], 0.0, "background is transparent")
        self.assertEqual(colours.colours[1], colours.colours[255])
        self.assertIn(("SetAndObserveColorNodeID", colours.GetID()), view.mask.display.calls)
        self.assertLessEqual(self.timers[0].interval_ms, 100)
        self.assertTrue(self.timers[0].is_running)

    def test_hides_what_is_old(self):
        view = self.start()
        self.assertEqual(self.labels(), [None] * 3, "nothing is shown before the first message")
        self.assertFalse(view.outline.display.visible)
        view.mask.message("modified")
        view.outline.message("mesh")
        self.assertEqual(self.labels(), [view.mask.GetID()] * 3)
        self.assertTrue(view.outline.display.visible)
        self.now_s += 0.4
        view.outline.message("mesh")
        self.now_s += 0.2
        self.timers[0].function()
        self.assertEqual(self.labels(), [None] * 3, "the mask is 0.6 s old")
        self.assertTrue(view.outline.display.visible, "the outline is 0.2 s old")
        self.assertIn("0.6 s", self.slicer.messages[-1])
        self.now_s += 0.4
        self.timers[0].function()
        self.assertFalse(view.outline.display.visible)
        view.mask.message("modified")
        self.assertEqual(self.labels(), [view.mask.GetID()] * 3, "it comes back")

    def test_leaves_other_labels_alone(self):
        view = self.start()
        view.mask.message("modified")
        self.slicer.composites[1].label = "another"
        self.now_s += 1
        self.timers[0].function()
        self.assertEqual(self.labels(), [None, "another", None])
        self.slicer.composites[2].label = "third"
        view.mask.message("modified")
        self.assertEqual(self.labels(), [view.mask.GetID(), "another", "third"])

    def test_follows_the_plane(self):
        view = self.start()
        view.mask.message("modified")
        self.assertEqual(self.slicer.slice.calls,
                         [("RotateToVolumePlane", view.mask), ("JumpSliceByOffsetting", 5.0, 30.0, 0.0)])
        self.slicer.slice.calls.clear()
        self.start(follow=None).mask.message("modified")
        self.assertEqual(self.slicer.slice.calls, [])

    def test_image_below(self):
        view = self.start(image_port=18944)
        self.assertIn(("SetTypeClient", "127.0.0.1", 18944), view.connectors[1].calls)
        self.timers[0].function()
        image = self.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Image_Reference")
        self.timers[0].function()
        self.timers[0].function()
        self.assertEqual(self.slicer.layers[1:], [(None, image)], "set once")

    def test_again_and_stop(self):
        first = self.start()
        first.mask.message("modified")
        second = self.start()
        self.assertFalse(self.timers[0].is_running)
        self.assertTrue(self.timers[1].is_running)
        self.assertIs(first.mask, second.mask)
        connectors = [node for node in self.slicer.mrmlScene.nodes if node.kind == "vtkMRMLIGTLConnectorNode"]
        self.assertEqual(connectors, second.connectors)
        self.assertEqual(len(second.mask.observers), 1)
        self.names["sonoseg_stop"]()
        self.assertEqual(self.labels(), [None] * 3)
        self.assertEqual(second.mask.observers, {})

    def test_without_the_extension(self):
        del self.slicer.vtkMRMLIGTLConnectorNode
        with self.assertRaisesRegex(RuntimeError, "SlicerOpenIGTLink"):
            self.start()


if __name__ == "__main__":
    unittest.main()
