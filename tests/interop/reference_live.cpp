// SPDX-License-Identifier: Apache-2.0
/*
 * The reference library (libopenigtlink, header version 1) as a peer of the live commands:
 *
 *     reference_live source N    a server: prints "port P", then N images with a pose each to the first
 * client reference_live sink P N    a client of port P: prints what comes until N IMAGEs have come
 *
 * A line a message, for test_reference.py to compare: type, device, the header's timestamp as it was on the
 * wire, and of an IMAGE its head of 72 bytes and its pixels, of a POLYDATA its points, in hex. Status 1 with
 * a reason when anything cannot be read: the library checks each checksum.
 */
#include <igtlClientSocket.h>
#include <igtlImageMessage.h>
#include <igtlMessageHeader.h>
#include <igtlPolyDataMessage.h>
#include <igtlServerSocket.h>
#include <igtlStatusMessage.h>
#include <igtlStringMessage.h>
#include <igtlTransformMessage.h>

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace
{

const int COLUMNS = 52, ROWS = 36;
const int HEAD_BYTES = 72;
const int TIMESTAMP_AT = 34;
const int PERIOD_US = 30000;

int fail(const char *why)
{
    std::fprintf(stderr, "reference_live: %s\n", why);
    return 1;
}

std::string hex(const void *bytes, size_t n_bytes)
{
    std::string text;
    char pair[3];
    for (size_t i = 0; i < n_bytes; i++) {
        std::snprintf(pair, sizeof pair, "%02x", static_cast<const unsigned char *>(bytes)[i]);
        text += pair;
    }
    return text;
}

std::string stamp_of(const void *header)
{
    return hex(static_cast<const char *>(header) + TIMESTAMP_AT, 8);
}

/* ---- source -------------------------------------------------------------------------------------------- */

/* An oblique plane with a spacing of its own, turning from frame to frame. */
void pose_of(int frame, igtl::Matrix4x4 &matrix)
{
    const float angle = 0.1f * static_cast<float>(frame + 1);
    igtl::IdentityMatrix(matrix);
    matrix[0][0] = matrix[1][1] = std::cos(angle);
    matrix[0][1] = -std::sin(angle);
    matrix[1][0] = std::sin(angle);
    matrix[0][3] = 12.3f * angle;
    matrix[1][3] = -45.6f;
    matrix[2][3] = 7.89f / angle;
}

int send_frame(igtl::Socket *socket, int frame)
{
    igtl::Matrix4x4 pose;
    int size[3] = {COLUMNS, ROWS, 1};
    float spacing[3] = {0.17f, 0.23f, 1.0f};
    igtl::TimeStamp::Pointer now = igtl::TimeStamp::New();
    now->GetTime();
    pose_of(frame, pose);
    igtl::TransformMessage::Pointer transform = igtl::TransformMessage::New();
    transform->SetDeviceName("ImageToReference");
    transform->SetTimeStamp(now);
    transform->SetMatrix(pose);
    transform->Pack();
    igtl::ImageMessage::Pointer image = igtl::ImageMessage::New();
    image->SetDeviceName("Image_Reference");
    image->SetTimeStamp(now);
    image->SetDimensions(size);
    image->SetSpacing(spacing);
    image->SetScalarTypeToUint8();
    image->AllocateScalars();
    image->SetMatrix(pose);
    unsigned char *pixels = static_cast<unsigned char *>(image->GetScalarPointer());
    for (int i = 0; i < COLUMNS * ROWS; i++)
        pixels[i] = static_cast<unsigned char>((i * 7 + frame * 31 + i / COLUMNS * 3) & 0xff);
    image->Pack();
    if (!socket->Send(transform->GetPackPointer(), transform->GetPackSize()) ||
        !socket->Send(image->GetPackPointer(), image->GetPackSize()))
        return fail("the service closed the connection");
    const char *body = static_cast<const char *>(image->GetPackBodyPointer());
    std::printf("IMAGE Image_Reference %s %s %s\n", stamp_of(image->GetPackPointer()).c_str(),
                hex(body, HEAD_BYTES).c_str(), hex(body + HEAD_BYTES, COLUMNS * ROWS).c_str());
    std::fflush(stdout);
    return 0;
}

int serve(int n_frames)
{
    igtl::ServerSocket::Pointer server = igtl::ServerSocket::New();
    if (server->CreateServer(0) < 0)
        return fail("no server socket");
    std::printf("port %d\n", server->GetServerPort());
    std::fflush(stdout);
    igtl::ClientSocket::Pointer client = server->WaitForConnection(30000);
    if (client.IsNull())
        return fail("nobody came within 30 s");
    for (int frame = 0; frame < n_frames; frame++) {
        if (send_frame(client, frame))
            return 1;
        usleep(PERIOD_US);
    }
    usleep(20 * PERIOD_US); /* the masks of the last ones are on their way */
    client->CloseSocket();
    server->CloseSocket();
    return 0;
}

/* ---- sink ---------------------------------------------------------------------------------------------- */

/* The body into a message of that kind, its checksum compared. */
template <class Kind> typename Kind::Pointer take(igtl::Socket *socket, igtl::MessageHeader *header)
{
    typename Kind::Pointer message = Kind::New();
    message->SetMessageHeader(header);
    message->AllocatePack();
    if (socket->Receive(message->GetPackBodyPointer(), message->GetPackBodySize()) !=
        message->GetPackBodySize())
        return NULL;
    return message;
}

int take_image(igtl::Socket *socket, igtl::MessageHeader *header, const std::string &stamp)
{
    igtl::ImageMessage::Pointer image = take<igtl::ImageMessage>(socket, header);
    if (image.IsNull())
        return fail("an IMAGE was cut");
    const std::string head =
        hex(image->GetPackBodyPointer(), HEAD_BYTES); /* unpacking turns it round in place */
    int size[3];
    if (!(image->Unpack(1) & igtl::MessageHeader::UNPACK_BODY))
        return fail("an IMAGE could not be unpacked");
    image->GetDimensions(size);
    std::printf("IMAGE %s %s %s %s\n", image->GetDeviceName(), stamp.c_str(), head.c_str(),
                hex(image->GetScalarPointer(), static_cast<size_t>(size[0]) * size[1] * size[2]).c_str());
    return 0;
}

int take_outline(igtl::Socket *socket, igtl::MessageHeader *header, const std::string &stamp)
{
    igtl::PolyDataMessage::Pointer outline = take<igtl::PolyDataMessage>(socket, header);
    if (outline.IsNull())
        return fail("a POLYDATA was cut");
    if (!(outline->Unpack(1) & igtl::MessageHeader::UNPACK_BODY))
        return fail("a POLYDATA could not be unpacked");
    std::printf("POLYDATA %s %s", outline->GetDeviceName(), stamp.c_str());
    igtl::PolyDataPointArray::Pointer points = outline->GetPoints();
    for (int i = 0; points.IsNotNull() && i < points->GetNumberOfPoints(); i++) {
        igtlFloat32 at[3];
        points->GetPoint(i, at);
        std::printf(" %.9g,%.9g,%.9g", at[0], at[1], at[2]);
    }
    std::printf("\n");
    return 0;
}

int take_status(igtl::Socket *socket, igtl::MessageHeader *header, const std::string &stamp)
{
    igtl::StatusMessage::Pointer status = take<igtl::StatusMessage>(socket, header);
    if (status.IsNull() || !(status->Unpack(1) & igtl::MessageHeader::UNPACK_BODY))
        return fail("a STATUS could not be read");
    std::printf("STATUS %s %s %d %s\n", status->GetDeviceName(), stamp.c_str(), status->GetCode(),
                status->GetErrorName());
    return 0;
}

int take_string(igtl::Socket *socket, igtl::MessageHeader *header, const std::string &stamp)
{
    igtl::StringMessage::Pointer text = take<igtl::StringMessage>(socket, header);
    if (text.IsNull() || !(text->Unpack(1) & igtl::MessageHeader::UNPACK_BODY))
        return fail("a STRING could not be read");
    std::printf("STRING %s %s %s\n", text->GetDeviceName(), stamp.c_str(), text->GetString());
    return 0;
}

int take_pose(igtl::Socket *socket, igtl::MessageHeader *header, const std::string &stamp)
{
    igtl::TransformMessage::Pointer pose = take<igtl::TransformMessage>(socket, header);
    igtl::Matrix4x4 matrix;
    if (pose.IsNull() || !(pose->Unpack(1) & igtl::MessageHeader::UNPACK_BODY))
        return fail("a TRANSFORM could not be read");
    pose->GetMatrix(matrix);
    std::printf("TRANSFORM %s %s ", pose->GetDeviceName(), stamp.c_str());
    for (int i = 0; i < 12; i++)
        std::printf("%.9g%s", matrix[i / 4][i % 4], i < 11 ? "," : "\n");
    return 0;
}

int receive(int port, int n_masks)
{
    igtl::ClientSocket::Pointer socket = igtl::ClientSocket::New();
    if (socket->ConnectToServer("127.0.0.1", port) != 0)
        return fail("no connection to the service");
    socket->SetReceiveTimeout(20000);
    std::printf("connected\n");
    for (int n = 0; n < n_masks;) {
        igtl::MessageHeader::Pointer header = igtl::MessageHeader::New();
        header->InitPack();
        std::fflush(stdout);
        if (socket->Receive(header->GetPackPointer(), header->GetPackSize()) != header->GetPackSize())
            return fail("no message within 20 s, or the service closed the connection");
        const std::string stamp = stamp_of(header->GetPackPointer());
        header->Unpack();
        const std::string type = header->GetDeviceType();
        int status = 0;
        if (type == "IMAGE")
            status = take_image(socket, header, stamp);
        else if (type == "POLYDATA")
            status = take_outline(socket, header, stamp);
        else if (type == "TRANSFORM")
            status = take_pose(socket, header, stamp);
        else if (type == "STATUS")
            status = take_status(socket, header, stamp);
        else if (type == "STRING")
            status = take_string(socket, header, stamp);
        else
            return fail(("a message of type " + type + " that nobody asked for").c_str());
        if (status)
            return status;
        n += type == "IMAGE";
    }
    std::fflush(stdout);
    socket->CloseSocket();
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc == 3 && !std::strcmp(argv[1], "source"))
        return serve(std::atoi(argv[2]));
    if (argc == 4 && !std::strcmp(argv[1], "sink"))
        return receive(std::atoi(argv[2]), std::atoi(argv[3]));
    return fail("usage: reference_live source N | sink PORT N");
}
