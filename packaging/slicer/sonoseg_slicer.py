# SPDX-License-Identifier: Apache-2.0
"""Shows the masks of `sonoseg serve` in 3D Slicer, and hides them when they get old. For Slicer's Python console:

    exec(open("sonoseg_slicer.py").read()); sonoseg("127.0.0.1", 18945)

`sonoseg serve` prints that line with its own path and port. Again with other values: the first connection is replaced.
sonoseg_stop() ends it. With PlusServer or `sonoseg replay` on this machine, sonoseg(..., image_port=18944) shows its image below.

Slicer keeps the last image of a device for ever, so a mask would stay when its source is gone: after limit_s without a
message, mask and outline are hidden, and come back with the next one. Needs the extension SlicerOpenIGTLink. For research,
not a medical device.

Facts of Slicer's side: a message goes to the first volume of its device's name, also to a label map made beforehand
(OpenIGTLinkIF/MRML/vtkMRMLIGTLConnectorNode.cxx, CreateNewMRMLNodeForDevice, SlicerOpenIGTLink at d090ca4); every message
modifies the node; metadata become attributes `OpenIGTLink.<key>`.
"""
import time

SONOSEG_LIMIT_S = 0.5  # a mask is hidden that long after the last message
SONOSEG_TICK_MS = 100
SONOSEG_COLOUR = (1.0, 0.75, 0.1)


class SonosegAge:
    """Whether what is shown can still be believed. Knows neither Slicer nor a clock: times are passed in, in seconds."""

    def __init__(self, limit_s=SONOSEG_LIMIT_S):
        self.limit_s = limit_s
        self.heard_s = None
        self.is_shown = False

    def heard(self, now_s):
        """A message came. True = show it now: it was hidden, or is the first."""
        was_shown = self.is_shown
        self.heard_s = now_s
        self.is_shown = True
        return not was_shown

    def tick(self, now_s):
        """Time passed. True = hide it now: the last message is too old. A clock that goes backwards hides it, too."""
        if not self.is_shown or 0 <= now_s - self.heard_s <= self.limit_s:
            return False
        self.is_shown = False
        return True

    def silent_s(self, now_s):
        """Seconds since the last message; None = there was none yet."""
        return None if self.heard_s is None else now_s - self.heard_s


class SonosegView:
    """The nodes in Slicer's scene, and what keeps them honest. Slicer's modules are passed in."""

    def __init__(self, host, port, slicer, qt, vtk, mask_name="BoneMask", outline_name="BoneOutline",
                 limit_s=SONOSEG_LIMIT_S, opacity=0.6, follow="Red", image_port=None, image_name="Image_Reference",
                 clock=time.monotonic):
        self.slicer = slicer
        self.clock = clock
        self.follow = follow
        self.image_name = image_name
        self.layers = []  # slice views whose label layer was emptied: composite nodes
        self.observed = []
        self.mask = self.make_mask(mask_name)
        self.outline = self.make_outline(outline_name)
        self.ages = {"mask": SonosegAge(limit_s), "outline": SonosegAge(limit_s)}
        slicer.util.setSliceViewerLayers(label=self.mask, labelOpacity=opacity)
        self.show_mask(False)
        self.show_outline(False)
        self.observe("mask", self.mask, vtk.vtkCommand.ModifiedEvent)
        self.observe("outline", self.outline, slicer.vtkMRMLModelNode.MeshModifiedEvent)
        self.connectors = [self.connect("sonoseg", host, port)]
        if image_port:
            self.connectors.append(self.connect("sonoseg image", host, image_port))
        self.has_image = not image_port
        self.timer = qt.QTimer()
        self.timer.setInterval(SONOSEG_TICK_MS)
        self.timer.connect("timeout()", self.tick)
        self.timer.start()

    def connect(self, name, host, port):
        node = self.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLIGTLConnectorNode", name)
        node.SetTypeClient(host, port)
        node.Start()
        return node

    def make_mask(self, name):
        """The label map that messages go to. A grey volume of that name, left by a connection without this script, would be
        taken first and is removed."""
        scene = self.slicer.mrmlScene
        for node in self.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetName() == name and not node.IsA("vtkMRMLLabelMapVolumeNode"):
                scene.RemoveNode(node)
        mask = scene.GetFirstNode(name, "vtkMRMLLabelMapVolumeNode")
        if not mask:
            mask = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
        mask.CreateDefaultDisplayNodes()
        colours = scene.GetFirstNode(name + "Colors", "vtkMRMLColorTableNode")
        if not colours:
            colours = scene.AddNewNodeByClass("vtkMRMLColorTableNode", name + "Colors")
            colours.SetTypeToUser()
            colours.SetNumberOfColors(256)  # the mask's value is 1, or 255 with sink.mask_value
            colours.SetColor(0, "background", 0.0, 0.0, 0.0, 0.0)
            for value in range(1, 256):
                colours.SetColor(value, "bone", *SONOSEG_COLOUR, 1.0)
        mask.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
        return mask

    def make_outline(self, name):
        scene = self.slicer.mrmlScene
        outline = scene.GetFirstNode(name, "vtkMRMLModelNode")
        if not outline:
            outline = scene.AddNewNodeByClass("vtkMRMLModelNode", name)
        outline.CreateDefaultDisplayNodes()
        display = outline.GetDisplayNode()
        display.SetColor(*SONOSEG_COLOUR)
        display.SetLineWidth(3)
        display.SetLighting(False)
        display.SetVisibility2D(True)
        return outline

    def observe(self, what, node, event):
        self.observed.append((node, node.AddObserver(event, lambda *_: self.heard(what))))

    def heard(self, what):
        """A message has changed the node."""
        if self.ages[what].heard(self.clock()):
            self.show_mask(True) if what == "mask" else self.show_outline(True)
        if what == "mask" and self.follow:
            self.follow_mask()

    def tick(self):
        now_s = self.clock()
        if self.ages["mask"].tick(now_s):
            self.show_mask(False)
        if self.ages["outline"].tick(now_s):
            self.show_outline(False)
        silent_s = self.ages["mask"].silent_s(now_s)
        if not self.ages["mask"].is_shown:
            self.slicer.util.showStatusMessage(
                "sonoseg: no masks yet" if silent_s is None else f"sonoseg: no masks for {silent_s:.1f} s", 1000)
        if not self.has_image:
            self.find_image()

    def find_image(self):
        image = self.slicer.mrmlScene.GetFirstNode(self.image_name, "vtkMRMLVolumeNode")
        if image:
            self.has_image = True
            self.slicer.util.setSliceViewerLayers(background=image, fit=True)

    def show_mask(self, is_shown):
        """The label layer of each slice view that has, or had, the mask in it: other labels are left alone."""
        if is_shown:
            for composite in self.layers:
                if not composite.GetLabelVolumeID():
                    composite.SetLabelVolumeID(self.mask.GetID())
            self.layers = []
            return
        for composite in self.slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if composite.GetLabelVolumeID() == self.mask.GetID():
                composite.SetLabelVolumeID(None)
                self.layers.append(composite)

    def show_outline(self, is_shown):
        self.outline.GetDisplayNode().SetVisibility(is_shown)

    def follow_mask(self):
        """Moves the slice view with the image plane, as a probe moves it."""
        widget = self.slicer.app.layoutManager().sliceWidget(self.follow)
        if not widget or not self.mask.GetImageData():
            return
        bounds = [0.0] * 6
        self.mask.GetRASBounds(bounds)
        view = widget.mrmlSliceNode()
        view.RotateToVolumePlane(self.mask)
        view.JumpSliceByOffsetting(*((bounds[2 * i] + bounds[2 * i + 1]) / 2 for i in range(3)))

    def stop(self):
        self.timer.stop()
        for node, tag in self.observed:
            node.RemoveObserver(tag)
        for node in self.connectors:
            node.Stop()
            self.slicer.mrmlScene.RemoveNode(node)
        self.show_mask(False)
        self.show_outline(False)


sonoseg_view = None


def sonoseg(host="127.0.0.1", port=18945, **options):
    """Connects to `sonoseg serve` and shows its masks; options as of SonosegView."""
    global sonoseg_view
    import qt
    import slicer
    import vtk
    if not hasattr(slicer, "vtkMRMLIGTLConnectorNode"):
        raise RuntimeError("Slicer has no OpenIGTLink: install the extension SlicerOpenIGTLink (Extensions Manager)")
    sonoseg_stop()
    sonoseg_view = SonosegView(host, port, slicer, qt, vtk, **options)
    return sonoseg_view


def sonoseg_stop():
    """Disconnects and hides mask and outline."""
    global sonoseg_view
    if sonoseg_view:
        sonoseg_view.stop()
    sonoseg_view = None
