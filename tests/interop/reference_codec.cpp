// SPDX-License-Identifier: Apache-2.0
/*
 * The codec beside the reference library (libopenigtlink, header version 1): what it packs our decoders read,
 * what our encoders write it unpacks with its check of the checksum, and every field is the same. Prints what
 * differs; status 1 when anything does.
 */
#include <igtlBindMessage.h>
#include <igtlCapabilityMessage.h>
#include <igtlColorTableMessage.h>
#include <igtlImageMessage.h>
#include <igtlImageMetaMessage.h>
#include <igtlLabelMetaMessage.h>
#include <igtlMessageHeader.h>
#include <igtlNDArrayMessage.h>
#include <igtlPointMessage.h>
#include <igtlPolyDataMessage.h>
#include <igtlPositionMessage.h>
#include <igtlQuaternionTrackingDataMessage.h>
#include <igtlSensorMessage.h>
#include <igtlStatusMessage.h>
#include <igtlStringMessage.h>
#include <igtlTrackingDataMessage.h>
#include <igtlTrajectoryMessage.h>
#include <igtlTransformMessage.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

extern "C" {
#include "igtl/arrays.h"
#include "igtl/bind.h"
#include "igtl/lists.h"
#include "igtl/polydata.h"
#include "igtl/query.h"
#include "igtl/tracking.h"
}

namespace
{

int n_checks;
int n_failures;

void check(bool holds, const char *text, int line)
{
    n_checks++;
    if (holds)
        return;
    n_failures++;
    std::printf("line %d: not so: %s\n", line, text);
}
#define CHECK(condition) check((condition), #condition, __LINE__)

typedef std::vector<uint8_t> bytes;

const uint32_t SECONDS = 1762345678;
const uint32_t FRACTION = 0x9abcdef1;
const uint64_t TIMESTAMP = (uint64_t)SECONDS << 32 | FRACTION;
const char *const DEVICE = "12345678901234567890"; // fills its field

// A message of the reference library, as bytes.
template <class T> bytes pack(T &message)
{
    message->SetDeviceName("Device");
    message->SetTimeStamp(SECONDS, FRACTION);
    message->Pack();
    const uint8_t *at = static_cast<const uint8_t *>(message->GetPackPointer());
    return bytes(at, at + message->GetPackSize());
}

// Our reading of its header and checksum; the content.
sono_igtl_body open(const bytes &wire, const char *type)
{
    sono_igtl_header header = {};
    sono_igtl_body body = {};
    CHECK(sono_igtl_header_decode(wire.data(), wire.size(), UINT64_MAX, &header, nullptr) == SONO_IGTL_OK);
    CHECK(sono_igtl_body_decode(&header, wire.data() + SONO_IGTL_HEADER_BYTES,
                                wire.size() - SONO_IGTL_HEADER_BYTES, &body, nullptr) == SONO_IGTL_OK);
    CHECK(header.version == 1);
    CHECK(std::string(header.type) == type);
    CHECK(std::string(header.device) == "Device");
    CHECK(header.timestamp == TIMESTAMP);
    CHECK(header.crc == sono_igtl_crc64(0, body.content, body.content_bytes));
    return body;
}

// A message of ours, as it grows.
struct ours {
    explicit ours(const char *type) : memory(1 << 20), type(type)
    {
        sono_igtl_writer_init(&writer, memory.data(), memory.size());
        sono_igtl_message_begin(&writer, 1, type, DEVICE, TIMESTAMP);
    }
    // The reference library's reading of it.
    template <class T> typename T::Pointer end()
    {
        CHECK(sono_igtl_message_end(&writer, 0, nullptr, 0) == SONO_IGTL_OK);
        igtl::MessageHeader::Pointer header = igtl::MessageHeader::New();
        header->InitPack();
        std::memcpy(header->GetPackPointer(), memory.data(), SONO_IGTL_HEADER_BYTES);
        header->Unpack();
        unsigned int seconds = 0;
        unsigned int fraction = 0;
        header->GetTimeStamp(&seconds, &fraction);
        CHECK(seconds == SECONDS && fraction == FRACTION);
        CHECK(std::string(header->GetDeviceType()) == type);
        CHECK(std::string(header->GetDeviceName()) == DEVICE);
        CHECK((size_t)header->GetBodySizeToRead() == writer.n_bytes - SONO_IGTL_HEADER_BYTES);
        typename T::Pointer message = T::New();
        message->SetMessageHeader(header);
        message->AllocatePack();
        std::memcpy(message->GetPackBodyPointer(), memory.data() + SONO_IGTL_HEADER_BYTES,
                    writer.n_bytes - SONO_IGTL_HEADER_BYTES);
        const int unpacked = message->Unpack(1);
        CHECK(writer.n_bytes == SONO_IGTL_HEADER_BYTES || (unpacked & igtl::MessageBase::UNPACK_BODY));
        return message;
    }
    bytes memory;
    std::string type;
    sono_igtl_writer writer;
};

// Whether our matrix of 12 floats by columns is its matrix of 3 rows, bit for bit.
bool same_matrix(const float ours[12], const igtl::Matrix4x4 &theirs)
{
    for (int column = 0; column < 4; column++)
        for (int row = 0; row < 3; row++)
            if (std::memcmp(&ours[3 * column + row], &theirs[row][column], sizeof(float)) != 0)
                return false;
    return true;
}

// Axes swapped and turned round; numbers that floats hold exactly.
void fill_matrix(float ours[12], igtl::Matrix4x4 &theirs)
{
    const float matrix[12] = {0, 1, 0, -1, 0, 0, 0, 0, 1, 12.5f, -7.25f, 1024};
    std::memcpy(ours, matrix, sizeof matrix);
    igtl::IdentityMatrix(theirs);
    for (int column = 0; column < 4; column++)
        for (int row = 0; row < 3; row++)
            theirs[row][column] = matrix[3 * column + row];
}

void test_transform()
{
    float matrix[12];
    igtl::Matrix4x4 theirs;
    fill_matrix(matrix, theirs);
    igtl::TransformMessage::Pointer message = igtl::TransformMessage::New();
    message->SetMatrix(theirs);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "TRANSFORM");
    sono_igtl_transform transform = {};
    CHECK(sono_igtl_transform_decode(body.content, body.content_bytes, &transform, nullptr) == SONO_IGTL_OK);
    CHECK(same_matrix(transform.matrix, theirs));

    ours mine("TRANSFORM");
    sono_igtl_transform_encode(&mine.writer, &transform);
    igtl::Matrix4x4 back;
    mine.end<igtl::TransformMessage>()->GetMatrix(back);
    CHECK(same_matrix(matrix, back));
}

void test_image_of(int scalar, int n_components, int endian, int coordinates)
{
    const int size[3] = {7, 5, 3};
    const int sub[3] = {4, 3, 2};
    const int offset[3] = {2, 1, 1};
    float matrix[12];
    igtl::Matrix4x4 theirs;
    fill_matrix(matrix, theirs);
    igtl::ImageMessage::Pointer message = igtl::ImageMessage::New();
    message->SetDimensions(size[0], size[1], size[2]);
    message->SetSubVolume(sub[0], sub[1], sub[2], offset[0], offset[1], offset[2]);
    message->SetSpacing(0.5f, 0.25f, 2);
    message->SetScalarType(scalar);
    message->SetNumComponents(n_components);
    message->SetEndian(endian);
    message->SetCoordinateSystem(coordinates);
    message->SetMatrix(theirs);
    message->AllocateScalars();
    uint8_t *pixels = static_cast<uint8_t *>(message->GetScalarPointer());
    const size_t n_bytes = (size_t)message->GetSubVolumeImageSize();
    for (size_t i = 0; i < n_bytes; i++)
        pixels[i] = (uint8_t)(31 * i + 7);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "IMAGE");
    sono_igtl_image image = {};
    const uint8_t *found = nullptr;
    CHECK(sono_igtl_image_decode(body.content, body.content_bytes, &image, &found, nullptr) == SONO_IGTL_OK);
    CHECK(image.scalar == scalar && image.n_components == n_components);
    CHECK(image.endian == endian && image.coordinates == coordinates);
    for (int axis = 0; axis < 3; axis++)
        CHECK(image.size[axis] == size[axis] && image.subsize[axis] == sub[axis] &&
              image.offset[axis] == offset[axis]);
    const float spaced[12] = {0, 0.5f, 0, -0.25f, 0, 0, 0, 0, 2, 12.5f, -7.25f, 1024};
    for (int i = 0; i < 12; i++)
        CHECK(image.matrix[i] == spaced[i]);
    CHECK(found && sono_igtl_image_pixel_bytes(&image) == n_bytes &&
          std::memcmp(found, pixels, n_bytes) == 0);

    ours mine("IMAGE");
    sono_igtl_image_head_encode(&mine.writer, &image);
    sono_igtl_write(&mine.writer, pixels, n_bytes);
    igtl::ImageMessage::Pointer back = mine.end<igtl::ImageMessage>();
    int dimensions[3], back_sub[3], back_offset[3];
    float spacing[3];
    igtl::Matrix4x4 back_matrix;
    back->GetDimensions(dimensions);
    back->GetSubVolume(back_sub, back_offset);
    back->GetSpacing(spacing);
    back->GetMatrix(back_matrix);
    CHECK(std::memcmp(dimensions, size, sizeof size) == 0 && std::memcmp(back_sub, sub, sizeof sub) == 0);
    CHECK(std::memcmp(back_offset, offset, sizeof offset) == 0);
    CHECK(spacing[0] == 0.5f && spacing[1] == 0.25f && spacing[2] == 2);
    for (int row = 0; row < 3; row++)
        for (int column = 0; column < 4; column++)
            CHECK(back_matrix[row][column] == theirs[row][column]);
    CHECK(back->GetScalarType() == scalar && back->GetNumComponents() == n_components);
    CHECK(back->GetEndian() == endian && back->GetCoordinateSystem() == coordinates);
    CHECK(std::memcmp(back->GetScalarPointer(), pixels, n_bytes) == 0);
}

void test_image()
{
    const int scalars[] = {2, 3, 4, 5, 6, 7, 10, 11};
    for (int scalar : scalars) {
        test_image_of(scalar, 1, 2, 1);
        test_image_of(scalar, 3, 1, 2);
    }
}

void test_status()
{
    igtl::StatusMessage::Pointer message = igtl::StatusMessage::New();
    message->SetCode(igtl::StatusMessage::STATUS_HARDWARE_FAILURE);
    message->SetSubCode(-5000000000LL);
    message->SetErrorName("DEVICE_LOST");
    message->SetStatusString("the GPU fell off the bus");
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "STATUS");
    sono_igtl_state status = {};
    CHECK(sono_igtl_status_decode(body.content, body.content_bytes, &status, nullptr) == SONO_IGTL_OK);
    CHECK(status.code == SONO_IGTL_CODE_HARDWARE && status.subcode == -5000000000LL);
    CHECK(std::string(status.name) == "DEVICE_LOST");
    CHECK(std::string(status.text, status.text_bytes) == "the GPU fell off the bus");

    ours mine("STATUS");
    sono_igtl_status_encode(&mine.writer, &status);
    igtl::StatusMessage::Pointer back = mine.end<igtl::StatusMessage>();
    CHECK(back->GetCode() == 18 && back->GetSubCode() == -5000000000LL);
    CHECK(std::string(back->GetErrorName()) == "DEVICE_LOST");
    CHECK(std::string(back->GetStatusString()) == "the GPU fell off the bus");
}

void test_string_and_capability()
{
    igtl::StringMessage::Pointer message = igtl::StringMessage::New();
    message->SetEncoding(106);
    message->SetString("f\xc3\xbcnf");
    const bytes wire = pack(message);
    sono_igtl_body body = open(wire, "STRING");
    sono_igtl_string string = {};
    CHECK(sono_igtl_string_decode(body.content, body.content_bytes, &string, nullptr) == SONO_IGTL_OK);
    CHECK(string.encoding == 106 && std::string(string.text, string.n_bytes) == "f\xc3\xbcnf");
    ours mine("STRING");
    sono_igtl_string_encode(&mine.writer, &string);
    igtl::StringMessage::Pointer back = mine.end<igtl::StringMessage>();
    CHECK(back->GetEncoding() == 106 && std::string(back->GetString()) == "f\xc3\xbcnf");

    const std::vector<std::string> names = {"IMAGE", "GET_IMAGE", "TWELVE_CHARS"};
    igtl::CapabilityMessage::Pointer types = igtl::CapabilityMessage::New();
    types->SetTypes(names);
    const bytes types_wire = pack(types);
    body = open(types_wire, "CAPABILITY");
    sono_igtl_capability capability = {};
    CHECK(sono_igtl_capability_decode(body.content, body.content_bytes, &capability, nullptr) ==
          SONO_IGTL_OK);
    CHECK(capability.n_types == names.size());
    for (size_t i = 0; i < names.size(); i++) {
        char name[SONO_IGTL_TYPE_CHARS + 1];
        CHECK(sono_igtl_capability_at(&capability, i, name) && names[i] == name);
    }
    ours mine_too("CAPABILITY");
    const char *const list[] = {"IMAGE", "GET_IMAGE", "TWELVE_CHARS"};
    sono_igtl_capability_encode(&mine_too.writer, list, 3);
    CHECK(mine_too.end<igtl::CapabilityMessage>()->GetTypes() == names);
}

// A square with an outline, two triangles and a score on each point.
void test_polydata()
{
    static const float points[4][3] = {{0, 0, 0}, {1.5f, 0, 0}, {1.5f, 2.5f, 0}, {0, 2.5f, 0}};
    static uint32_t outline[] = {0, 1, 2, 3, 0};
    static uint32_t triangles[2][3] = {{0, 1, 2}, {0, 2, 3}};
    static float scores[] = {0.5f, 0.25f, 0.125f, 1};
    igtl::PolyDataMessage::Pointer message = igtl::PolyDataMessage::New();
    igtl::PolyDataPointArray::Pointer their_points = igtl::PolyDataPointArray::New();
    igtl::PolyDataCellArray::Pointer their_lines = igtl::PolyDataCellArray::New();
    igtl::PolyDataCellArray::Pointer their_polygons = igtl::PolyDataCellArray::New();
    igtl::PolyDataAttribute::Pointer their_scores = igtl::PolyDataAttribute::New();
    for (const float *point : points)
        their_points->AddPoint(point[0], point[1], point[2]);
    their_lines->AddCell(5, outline);
    their_polygons->AddCell(3, triangles[0]);
    their_polygons->AddCell(3, triangles[1]);
    their_scores->SetType(igtl::PolyDataAttribute::POINT_SCALAR);
    their_scores->SetName("score");
    their_scores->SetSize(4);
    their_scores->SetData(scores);
    message->SetPoints(their_points);
    message->SetLines(their_lines);
    message->SetPolygons(their_polygons);
    message->AddAttribute(their_scores);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "POLYDATA");
    sono_igtl_polydata polydata = {};
    CHECK(sono_igtl_polydata_decode(body.content, body.content_bytes, &polydata, nullptr) == SONO_IGTL_OK);
    CHECK(polydata.n_points == 4 && polydata.lines.n_cells == 1 && polydata.polygons.n_cells == 2);
    CHECK(polydata.vertices.n_cells == 0 && polydata.strips.n_cells == 0 && polydata.n_attributes == 1);
    for (uint32_t i = 0; i < 4; i++) {
        float point[3];
        CHECK(sono_igtl_point_at(&polydata, i, point) && std::memcmp(point, points[i], sizeof point) == 0);
    }
    sono_igtl_cell cell = {};
    uint32_t at = 0;
    CHECK(sono_igtl_cell_next(&polydata.lines, &at, &cell) && cell.n_indices == 5);
    for (uint32_t i = 0; i < cell.n_indices; i++)
        CHECK(sono_igtl_cell_index(&cell, i) == outline[i]);
    sono_igtl_attribute_view attribute = {};
    CHECK(sono_igtl_attribute_at(&polydata, 0, &attribute) && std::string(attribute.name) == "score");
    CHECK(attribute.type == 0 && attribute.n_components == 1 && attribute.n == 4);
    for (uint32_t i = 0; i < 4; i++)
        CHECK(sono_igtl_attribute_value(&attribute, i) == scores[i]);

    const uint32_t n_outline[] = {5};
    const uint32_t n_triangles[] = {3, 3};
    const sono_igtl_attribute score = {0, 1, 4, "score", scores};
    sono_igtl_mesh mesh = {};
    mesh.points = points;
    mesh.n_points = 4;
    mesh.lines = {n_outline, outline, 1};
    mesh.polygons = {n_triangles, triangles[0], 2};
    mesh.attributes = &score;
    mesh.n_attributes = 1;
    ours mine("POLYDATA");
    sono_igtl_polydata_encode(&mine.writer, &mesh);
    CHECK(mine.writer.n_bytes == wire.size());
    CHECK(std::memcmp(mine.memory.data() + SONO_IGTL_HEADER_BYTES, body.content, body.content_bytes) == 0);
    igtl::PolyDataMessage::Pointer back = mine.end<igtl::PolyDataMessage>();
    CHECK(back->GetPoints()->GetNumberOfPoints() == 4 && back->GetLines()->GetNumberOfCells() == 1);
    igtlUint32 cell_back[5] = {};
    CHECK(back->GetLines()->GetCellSize(0) == 5 && back->GetLines()->GetCell(0, cell_back));
    CHECK(std::memcmp(cell_back, outline, sizeof outline) == 0);
    CHECK(back->GetPolygons()->GetCell(1, cell_back) &&
          std::memcmp(cell_back, triangles[1], sizeof triangles[1]) == 0);
    float scores_back[4] = {};
    CHECK(back->GetNumberOfAttributes() == 1 && back->GetAttribute(0)->GetData(scores_back));
    CHECK(std::memcmp(scores_back, scores, sizeof scores) == 0);
}

void test_labels()
{
    igtl::LabelMetaMessage::Pointer message = igtl::LabelMetaMessage::New();
    igtl::LabelMetaElement::Pointer element = igtl::LabelMetaElement::New();
    element->SetName("bone");
    element->SetDeviceName("BoneMask");
    element->SetLabel(1);
    element->SetRGBA(230, 220, 70, 255);
    element->SetSize(640, 480, 1);
    element->SetOwner("Image_Reference");
    message->AddLabelMetaElement(element);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "LBMETA");
    sono_igtl_list list = {};
    sono_igtl_label label = {};
    CHECK(sono_igtl_labels_decode(body.content, body.content_bytes, &list, nullptr) == SONO_IGTL_OK &&
          list.n == 1);
    CHECK(sono_igtl_label_at(&list, 0, &label));
    CHECK(std::string(label.name) == "bone" && std::string(label.device) == "BoneMask");
    CHECK(label.label == 1 && label.rgba[0] == 230 && label.rgba[1] == 220 && label.rgba[2] == 70 &&
          label.rgba[3] == 255);
    CHECK(label.size[0] == 640 && label.size[1] == 480 && label.size[2] == 1);
    CHECK(std::string(label.owner) == "Image_Reference");

    ours mine("LBMETA");
    sono_igtl_labels_encode(&mine.writer, &label, 1);
    igtl::LabelMetaMessage::Pointer back = mine.end<igtl::LabelMetaMessage>();
    CHECK(back->GetNumberOfLabelMetaElement() == 1);
    back->GetLabelMetaElement(0, element);
    igtlUint8 rgba[4];
    igtlUint16 size[3];
    element->GetRGBA(rgba);
    element->GetSize(size);
    CHECK(std::string(element->GetName()) == "bone" && std::string(element->GetDeviceName()) == "BoneMask");
    CHECK(element->GetLabel() == 1 && std::memcmp(rgba, label.rgba, 4) == 0);
    CHECK(size[0] == 640 && size[1] == 480 && size[2] == 1 &&
          std::string(element->GetOwner()) == "Image_Reference");
}

// A TRANSFORM and a STATUS of odd length as one message.
void test_bind()
{
    float matrix[12];
    igtl::Matrix4x4 theirs;
    fill_matrix(matrix, theirs);
    igtl::TransformMessage::Pointer transform = igtl::TransformMessage::New();
    transform->SetDeviceName("ProbeToReference");
    transform->SetMatrix(theirs);
    transform->Pack();
    igtl::StatusMessage::Pointer status = igtl::StatusMessage::New();
    status->SetDeviceName("Probe");
    status->SetCode(1);
    status->SetErrorName("OK");
    status->SetStatusString("tracked!");
    status->Pack();
    igtl::BindMessage::Pointer message = igtl::BindMessage::New();
    message->AppendChildMessage(transform);
    message->AppendChildMessage(status);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "BIND");
    sono_igtl_bind bind = {};
    sono_igtl_child children[2] = {};
    CHECK(sono_igtl_bind_decode(body.content, body.content_bytes, &bind, nullptr) == SONO_IGTL_OK &&
          bind.n == 2);
    CHECK(sono_igtl_child_at(&bind, 0, &children[0]) && sono_igtl_child_at(&bind, 1, &children[1]));
    CHECK(std::string(children[0].type) == "TRANSFORM" &&
          std::string(children[0].device) == "ProbeToReference");
    CHECK(std::string(children[1].type) == "STATUS" && std::string(children[1].device) == "Probe");
    sono_igtl_transform transform_in = {};
    sono_igtl_state status_in = {};
    CHECK(sono_igtl_transform_decode(children[0].content, children[0].content_bytes, &transform_in,
                                     nullptr) == SONO_IGTL_OK);
    CHECK(same_matrix(transform_in.matrix, theirs));
    CHECK(sono_igtl_status_decode(children[1].content, children[1].content_bytes, &status_in, nullptr) ==
          SONO_IGTL_OK);
    CHECK(std::string(status_in.text, status_in.text_bytes) == "tracked!");

    ours mine("BIND");
    sono_igtl_bind_encode(&mine.writer, children, 2);
    igtl::BindMessage::Pointer back = mine.end<igtl::BindMessage>();
    CHECK(back->GetNumberOfChildMessages() == 2);
    igtl::TransformMessage::Pointer transform_back = igtl::TransformMessage::New();
    igtl::StatusMessage::Pointer status_back = igtl::StatusMessage::New();
    igtl::Matrix4x4 matrix_back;
    back->GetChildMessage(0, transform_back);
    transform_back->Unpack();
    transform_back->GetMatrix(matrix_back);
    CHECK(same_matrix(matrix, matrix_back));
    CHECK(std::string(transform_back->GetDeviceName()) == "ProbeToReference");
    back->GetChildMessage(1, status_back);
    status_back->Unpack();
    CHECK(std::string(status_back->GetStatusString()) == "tracked!");
}

void test_points()
{
    igtl::PointMessage::Pointer message = igtl::PointMessage::New();
    igtl::PointElement::Pointer element = igtl::PointElement::New();
    element->SetName("tip");
    element->SetGroupName("Fiducial");
    element->SetRGBA(1, 2, 3, 4);
    element->SetPosition(1.5f, -2.5f, 3);
    element->SetRadius(0.75f);
    element->SetOwner("Image");
    message->AddPointElement(element);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "POINT");
    sono_igtl_list list = {};
    sono_igtl_landmark landmark = {};
    CHECK(sono_igtl_landmarks_decode(body.content, body.content_bytes, &list, nullptr) == SONO_IGTL_OK);
    CHECK(sono_igtl_landmark_at(&list, 0, &landmark) && list.n == 1);
    CHECK(std::string(landmark.name) == "tip" && std::string(landmark.group) == "Fiducial");
    CHECK(landmark.position_mm[0] == 1.5f && landmark.position_mm[1] == -2.5f &&
          landmark.position_mm[2] == 3);
    CHECK(landmark.diameter_mm == 0.75f && landmark.rgba[3] == 4 && std::string(landmark.owner) == "Image");

    ours mine("POINT");
    sono_igtl_landmarks_encode(&mine.writer, &landmark, 1);
    igtl::PointMessage::Pointer back = mine.end<igtl::PointMessage>();
    CHECK(back->GetNumberOfPointElement() == 1);
    back->GetPointElement(0, element);
    float position[3];
    element->GetPosition(position);
    CHECK(std::memcmp(position, landmark.position_mm, sizeof position) == 0 && element->GetRadius() == 0.75f);
    CHECK(std::string(element->GetGroupName()) == "Fiducial" && std::string(element->GetOwner()) == "Image");
}

void test_trajectories()
{
    igtl::TrajectoryMessage::Pointer message = igtl::TrajectoryMessage::New();
    igtl::TrajectoryElement::Pointer element = igtl::TrajectoryElement::New();
    element->SetName("path");
    element->SetGroupName("Trajectory");
    element->SetType(igtl::TrajectoryElement::TYPE_ENTRY_TARGET);
    element->SetRGBA(9, 8, 7, 6);
    element->SetEntryPosition(1, 2, 3);
    element->SetTargetPosition(4, 5, 6);
    element->SetRadius(2.5f);
    element->SetOwner("Image");
    message->AddTrajectoryElement(element);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "TRAJ");
    sono_igtl_list list = {};
    sono_igtl_trajectory path = {};
    CHECK(sono_igtl_trajectories_decode(body.content, body.content_bytes, &list, nullptr) == SONO_IGTL_OK);
    CHECK(sono_igtl_trajectory_at(&list, 0, &path) && list.n == 1);
    CHECK(path.type == 3 && path.entry_mm[2] == 3 && path.target_mm[0] == 4 && path.diameter_mm == 2.5f);
    CHECK(std::string(path.name) == "path" && path.rgba[0] == 9);

    ours mine("TRAJ");
    sono_igtl_trajectories_encode(&mine.writer, &path, 1);
    igtl::TrajectoryMessage::Pointer back = mine.end<igtl::TrajectoryMessage>();
    CHECK(back->GetNumberOfTrajectoryElement() == 1);
    back->GetTrajectoryElement(0, element);
    float entry[3], target[3];
    element->GetEntryPosition(entry);
    element->GetTargetPosition(target);
    CHECK(std::memcmp(entry, path.entry_mm, sizeof entry) == 0 &&
          std::memcmp(target, path.target_mm, sizeof target) == 0);
    CHECK(element->GetType() == 3 && element->GetRadius() == 2.5f &&
          std::string(element->GetName()) == "path");
}

void test_tracking()
{
    float matrix[12];
    igtl::Matrix4x4 theirs;
    fill_matrix(matrix, theirs);
    igtl::TrackingDataMessage::Pointer message = igtl::TrackingDataMessage::New();
    igtl::TrackingDataElement::Pointer element = igtl::TrackingDataElement::New();
    element->SetName("Probe");
    element->SetType(igtl::TrackingDataElement::TYPE_6D);
    element->SetMatrix(theirs);
    message->AddTrackingDataElement(element);
    const bytes wire = pack(message);
    sono_igtl_body body = open(wire, "TDATA");
    sono_igtl_list list = {};
    sono_igtl_tool tool = {};
    CHECK(sono_igtl_tools_decode(body.content, body.content_bytes, &list, nullptr) == SONO_IGTL_OK &&
          list.n == 1);
    CHECK(sono_igtl_tool_at(&list, 0, &tool) && std::string(tool.name) == "Probe" && tool.type == 2);
    CHECK(same_matrix(tool.matrix, theirs));
    ours mine("TDATA");
    sono_igtl_tools_encode(&mine.writer, &tool, 1);
    igtl::TrackingDataMessage::Pointer back = mine.end<igtl::TrackingDataMessage>();
    back->GetTrackingDataElement(0, element);
    igtl::Matrix4x4 matrix_back;
    element->GetMatrix(matrix_back);
    CHECK(same_matrix(matrix, matrix_back) && std::string(element->GetName()) == "Probe" &&
          element->GetType() == 2);

    igtl::QuaternionTrackingDataMessage::Pointer turned = igtl::QuaternionTrackingDataMessage::New();
    igtl::QuaternionTrackingDataElement::Pointer turned_element = igtl::QuaternionTrackingDataElement::New();
    turned_element->SetName("Needle");
    turned_element->SetType(4);
    turned_element->SetPosition(1, 2, 3);
    turned_element->SetQuaternion(0.5f, -0.5f, 0.5f, 0.5f);
    turned->AddQuaternionTrackingDataElement(turned_element);
    const bytes turned_wire = pack(turned);
    body = open(turned_wire, "QTDATA");
    sono_igtl_quaternion_tool turned_tool = {};
    CHECK(sono_igtl_quaternion_tools_decode(body.content, body.content_bytes, &list, nullptr) ==
          SONO_IGTL_OK);
    CHECK(sono_igtl_quaternion_tool_at(&list, 0, &turned_tool) && std::string(turned_tool.name) == "Needle");
    CHECK(turned_tool.position_mm[2] == 3 && turned_tool.quaternion[1] == -0.5f && turned_tool.type == 4);
    ours mine_too("QTDATA");
    sono_igtl_quaternion_tools_encode(&mine_too.writer, &turned_tool, 1);
    igtl::QuaternionTrackingDataMessage::Pointer turned_back =
        mine_too.end<igtl::QuaternionTrackingDataMessage>();
    turned_back->GetQuaternionTrackingDataElement(0, turned_element);
    float quaternion[4];
    turned_element->GetQuaternion(quaternion);
    CHECK(std::memcmp(quaternion, turned_tool.quaternion, sizeof quaternion) == 0);
}

// The library always sums 28 bytes for its checksum, so that only the whole form can be compared.
void test_position()
{
    igtl::PositionMessage::Pointer message = igtl::PositionMessage::New();
    message->SetPosition(1, 2, 3);
    message->SetQuaternion(0.5f, 0.5f, -0.5f, 0.5f);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "POSITION");
    sono_igtl_position position = {};
    CHECK(sono_igtl_position_decode(body.content, body.content_bytes, &position, nullptr) == SONO_IGTL_OK);
    CHECK(position.n_quaternion == 4 && position.position_mm[1] == 2 && position.quaternion[2] == -0.5f);
    ours mine("POSITION");
    sono_igtl_position_encode(&mine.writer, &position);
    float found[4];
    igtl::PositionMessage::Pointer back = mine.end<igtl::PositionMessage>();
    back->GetPosition(found);
    CHECK(std::memcmp(found, position.position_mm, sizeof position.position_mm) == 0);
    back->GetQuaternion(found);
    CHECK(std::memcmp(found, position.quaternion, sizeof found) == 0);
}

void test_sensor()
{
    igtl::Unit::Pointer unit = igtl::Unit::New();
    unit->SetPrefix(igtl::Unit::SI_PREFIX_MILLI);
    unit->Append(igtl::Unit::SI_BASE_SECOND, -2); // 1.11 keeps the last one only
    igtl::SensorMessage::Pointer message = igtl::SensorMessage::New();
    message->SetLength(2);
    message->SetUnit(unit);
    message->SetValue(0u, 1.25);
    message->SetValue(1u, -1e-300);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "SENSOR");
    sono_igtl_sensor sensor = {};
    CHECK(sono_igtl_sensor_decode(body.content, body.content_bytes, &sensor, nullptr) == SONO_IGTL_OK);
    CHECK(sensor.n == 2 && sensor.values[0] == 1.25 && sensor.values[1] == -1e-300);
    CHECK(sensor.unit.prefix == igtl::Unit::SI_PREFIX_MILLI &&
          sensor.unit.unit[0] == igtl::Unit::SI_BASE_SECOND);
    CHECK(sensor.unit.exponent[0] == -2 && sensor.unit.unit[1] == 0 && sensor.unit.exponent[1] == 0);
    ours mine("SENSOR");
    sono_igtl_sensor_encode(&mine.writer, &sensor);
    igtl::SensorMessage::Pointer back = mine.end<igtl::SensorMessage>();
    CHECK(back->GetLength() == 2 && back->GetValue(0) == 1.25 && back->GetValue(1) == -1e-300);
    CHECK(back->GetUnit() == unit->Pack());
}

void test_ndarray()
{
    igtl::Array<igtlFloat64> array;
    igtl::ArrayBase::IndexType size(2);
    size[0] = 2;
    size[1] = 3;
    double values[6] = {1, -2, 3.5, 1e300, -0.0, 6};
    array.SetSize(size);
    array.SetArray(values);
    igtl::NDArrayMessage::Pointer message = igtl::NDArrayMessage::New();
    message->SetArray(igtl::NDArrayMessage::TYPE_FLOAT64, &array);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "NDARRAY");
    sono_igtl_ndarray found = {};
    double found_values[6];
    uint16_t n = 0;
    CHECK(sono_igtl_ndarray_decode(body.content, body.content_bytes, &found, nullptr) == SONO_IGTL_OK);
    CHECK(found.scalar == SONO_IGTL_FLOAT64 && found.n_dimensions == 2 && found.n == 6);
    CHECK(sono_igtl_ndarray_size_at(&found, 1, &n) && n == 3);
    CHECK(sono_igtl_ndarray_values(&found, 0, 6, found_values));
    CHECK(std::memcmp(found_values, values, sizeof values) == 0);
    ours mine("NDARRAY");
    const uint16_t sizes[] = {2, 3};
    sono_igtl_ndarray_encode(&mine.writer, SONO_IGTL_FLOAT64, sizes, 2, values);
    igtl::NDArrayMessage::Pointer back = mine.end<igtl::NDArrayMessage>();
    CHECK(back->GetType() == 11 && back->GetArray()->GetDimension() == 2);
    CHECK(std::memcmp(back->GetArray()->GetRawArray(), values, sizeof values) == 0);
}

void test_image_metas()
{
    igtl::ImageMetaMessage::Pointer message = igtl::ImageMetaMessage::New();
    igtl::ImageMetaElement::Pointer element = igtl::ImageMetaElement::New();
    element->SetName("sweep");
    element->SetDeviceName("Image_Reference");
    element->SetModality("US");
    element->SetPatientName("phantom");
    element->SetPatientID("0");
    element->SetSize(640, 480, 1);
    element->SetScalarType(3);
    message->AddImageMetaElement(element);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "IMGMETA");
    sono_igtl_list list = {};
    sono_igtl_image_meta meta = {};
    CHECK(sono_igtl_image_metas_decode(body.content, body.content_bytes, &list, nullptr) == SONO_IGTL_OK);
    CHECK(sono_igtl_image_meta_at(&list, 0, &meta) && list.n == 1);
    CHECK(std::string(meta.name) == "sweep" && std::string(meta.device) == "Image_Reference");
    CHECK(std::string(meta.modality) == "US" && std::string(meta.patient_name) == "phantom");
    CHECK(std::string(meta.patient_id) == "0" && meta.size[1] == 480 && meta.scalar == 3);
    ours mine("IMGMETA");
    sono_igtl_image_metas_encode(&mine.writer, &meta, 1);
    igtl::ImageMetaMessage::Pointer back = mine.end<igtl::ImageMetaMessage>();
    CHECK(back->GetNumberOfImageMetaElement() == 1);
    back->GetImageMetaElement(0, element);
    CHECK(std::string(element->GetPatientName()) == "phantom" && std::string(element->GetModality()) == "US");
    CHECK(element->GetScalarType() == 3);
}

void test_colortable()
{
    igtl::ColorTableMessage::Pointer message = igtl::ColorTableMessage::New();
    message->SetIndexTypeToUint8();
    message->SetMapType(igtl::ColorTableMessage::MAP_RGB);
    message->AllocateTable();
    uint8_t *table = static_cast<uint8_t *>(message->GetTablePointer());
    for (int i = 0; i < 3 * 256; i++)
        table[i] = (uint8_t)(5 * i);
    const bytes wire = pack(message);
    const sono_igtl_body body = open(wire, "COLORT");
    sono_igtl_colortable found = {};
    sono_igtl_color colors[256] = {};
    CHECK(sono_igtl_colortable_decode(body.content, body.content_bytes, &found, nullptr) == SONO_IGTL_OK);
    CHECK(found.map == SONO_IGTL_MAP_RGB && found.n == 256);
    for (uint32_t i = 0; i < 256; i++)
        CHECK(sono_igtl_color_at(&found, i, &colors[i]) && std::memcmp(colors[i].rgb, table + 3 * i, 3) == 0);
    ours mine("COLORT");
    sono_igtl_colortable_encode(&mine.writer, found.index, found.map, colors);
    igtl::ColorTableMessage::Pointer back = mine.end<igtl::ColorTableMessage>();
    // Its GetMapType() says 3 (uint8) of its own message, too, in 1.11: the table is what can be compared.
    CHECK(std::memcmp(back->GetTablePointer(), table, 3 * 256) == 0);
}

void test_queries()
{
    igtl::GetImageMessage::Pointer get = igtl::GetImageMessage::New();
    const bytes get_wire = pack(get);
    CHECK(open(get_wire, "GET_IMAGE").content_bytes == 0);
    igtl::StartTrackingDataMessage::Pointer start = igtl::StartTrackingDataMessage::New();
    start->SetResolution(50);
    start->SetCoordinateName("Patient");
    const bytes start_wire = pack(start);
    sono_igtl_body body = open(start_wire, "STT_TDATA");
    sono_igtl_query query = {};
    CHECK(sono_igtl_query_decode("STT_TDATA", body.content, body.content_bytes, &query, nullptr) ==
          SONO_IGTL_OK);
    CHECK(query.verb == SONO_IGTL_START && query.interval_ms == 50 &&
          std::string(query.coordinates) == "Patient");
    ours mine("STT_TDATA");
    sono_igtl_query_encode(&mine.writer, &query);
    igtl::StartTrackingDataMessage::Pointer back = mine.end<igtl::StartTrackingDataMessage>();
    CHECK(back->GetResolution() == 50 && std::string(back->GetCoordinateName()) == "Patient");
    igtl::RTSTrackingDataMessage::Pointer answer = igtl::RTSTrackingDataMessage::New();
    answer->SetStatus(igtl::RTSTrackingDataMessage::STATUS_ERROR);
    const bytes answer_wire = pack(answer);
    body = open(answer_wire, "RTS_TDATA");
    CHECK(sono_igtl_query_decode("RTS_TDATA", body.content, body.content_bytes, &query, nullptr) ==
          SONO_IGTL_OK);
    CHECK(query.verb == SONO_IGTL_ANSWER && query.status == 1);
    ours mine_too("RTS_TDATA");
    sono_igtl_query_encode(&mine_too.writer, &query);
    CHECK(mine_too.end<igtl::RTSTrackingDataMessage>()->GetStatus() == 1);
}

} // namespace

int main()
{
    test_transform();
    test_image();
    test_status();
    test_string_and_capability();
    test_polydata();
    test_labels();
    test_bind();
    test_points();
    test_trajectories();
    test_tracking();
    test_position();
    test_sensor();
    test_ndarray();
    test_image_metas();
    test_colortable();
    test_queries();
    std::printf("%d of %d checks hold\n", n_checks - n_failures, n_checks);
    return n_failures != 0;
}
