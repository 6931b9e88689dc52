/**
 * A CSI driver for one node: controller and node service in one process, which the real external-provisioner,
 * external-resizer and kubelet call. Needs root.
 *
 *   node e2e/cluster/csi/main.ts SOCKET REGISTRATION_SOCKET FOLDER NODE
 */
import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { serveGrpc } from "./grpc.ts";
import type { Methods } from "./grpc.ts";
import { DRIVER_NAME } from "./names.ts";
import { LoopVolumes } from "./volumes.ts";

// Numbers of the enumerations in csi.proto.
const CONTROLLER_SERVICE = 1;
const ONLINE = 1;
const CREATE_DELETE_VOLUME = 1;
const CONTROLLER_EXPAND_VOLUME = 9;
const STAGE_UNSTAGE_VOLUME = 1;
const GET_VOLUME_STATS = 2;
const NODE_EXPAND_VOLUME = 3;
const BYTES = 1;

const [socket, registrationSocket, folder, node] = process.argv.slice(2) as [string, string, string, string];
const volumes = new LoopVolumes(folder);

const text = (value: unknown): string => String(value);
const requiredBytes = (request: Readonly<Record<string, unknown>>): number =>
  (request["capacityRange"] as { readonly requiredBytes: number } | null)?.requiredBytes ?? 0;
const capabilities = (...types: readonly number[]) => ({ capabilities: types.map((type) => ({ rpc: { type } })) });

const identity: Methods = {
  "/csi.v1.Identity/GetPluginInfo": {
    request: "Empty",
    response: "GetPluginInfoResponse",
    handle: () => ({ name: DRIVER_NAME, vendorVersion: "1" }),
  },
  "/csi.v1.Identity/GetPluginCapabilities": {
    request: "Empty",
    response: "GetPluginCapabilitiesResponse",
    handle: () => ({
      capabilities: [{ service: { type: CONTROLLER_SERVICE } }, { volumeExpansion: { type: ONLINE } }],
    }),
  },
  "/csi.v1.Identity/Probe": {
    request: "Empty",
    response: "ProbeResponse",
    handle: () => ({ ready: { value: true } }),
  },
};

const controller: Methods = {
  "/csi.v1.Controller/ControllerGetCapabilities": {
    request: "Empty",
    response: "CapabilitiesResponse",
    handle: () => capabilities(CREATE_DELETE_VOLUME, CONTROLLER_EXPAND_VOLUME),
  },
  "/csi.v1.Controller/CreateVolume": {
    request: "CreateVolumeRequest",
    response: "CreateVolumeResponse",
    handle: (request) => {
      const volumeId = text(request["name"]);
      return { volume: { volumeId, capacityBytes: volumes.create(volumeId, requiredBytes(request)) } };
    },
  },
  "/csi.v1.Controller/DeleteVolume": {
    request: "DeleteVolumeRequest",
    response: "Empty",
    handle: ({ volumeId }) => {
      volumes.delete(text(volumeId));
      return {};
    },
  },
  "/csi.v1.Controller/ControllerExpandVolume": {
    request: "ControllerExpandVolumeRequest",
    response: "ControllerExpandVolumeResponse",
    handle: (request) => ({
      capacityBytes: volumes.grow(text(request["volumeId"]), requiredBytes(request)),
      nodeExpansionRequired: true,
    }),
  },
};

const nodeService: Methods = {
  "/csi.v1.Node/NodeGetInfo": {
    request: "Empty",
    response: "NodeGetInfoResponse",
    handle: () => ({ nodeId: node }),
  },
  "/csi.v1.Node/NodeGetCapabilities": {
    request: "Empty",
    response: "CapabilitiesResponse",
    handle: () => capabilities(STAGE_UNSTAGE_VOLUME, GET_VOLUME_STATS, NODE_EXPAND_VOLUME),
  },
  "/csi.v1.Node/NodeStageVolume": {
    request: "NodeStageVolumeRequest",
    response: "Empty",
    handle: ({ volumeId, stagingTargetPath }) => {
      volumes.mount(text(volumeId), text(stagingTargetPath));
      return {};
    },
  },
  "/csi.v1.Node/NodeUnstageVolume": {
    request: "NodeUnstageVolumeRequest",
    response: "Empty",
    handle: ({ stagingTargetPath }) => {
      volumes.unmount(text(stagingTargetPath));
      return {};
    },
  },
  "/csi.v1.Node/NodePublishVolume": {
    request: "NodePublishVolumeRequest",
    response: "Empty",
    handle: ({ stagingTargetPath, targetPath, readonly }) => {
      volumes.bind(text(stagingTargetPath), text(targetPath), readonly === true);
      return {};
    },
  },
  "/csi.v1.Node/NodeUnpublishVolume": {
    request: "NodeUnpublishVolumeRequest",
    response: "Empty",
    handle: ({ targetPath }) => {
      volumes.unmount(text(targetPath));
      return {};
    },
  },
  "/csi.v1.Node/NodeExpandVolume": {
    request: "NodeExpandVolumeRequest",
    response: "NodeExpandVolumeResponse",
    handle: ({ volumeId, volumePath }) => ({
      capacityBytes: volumes.growFileSystem(text(volumeId), text(volumePath)),
    }),
  },
  "/csi.v1.Node/NodeGetVolumeStats": {
    request: "NodeGetVolumeStatsRequest",
    response: "NodeGetVolumeStatsResponse",
    handle: ({ volumePath }) => {
      const { blocks, bavail, bfree, bsize } = statfsSync(text(volumePath));
      const [total, used] = [blocks * bsize, (blocks - bfree) * bsize];
      return { usage: [{ unit: BYTES, total, used, available: bavail * bsize }] };
    },
  },
};

const registration: Methods = {
  "/pluginregistration.Registration/GetInfo": {
    request: "Empty",
    response: "PluginInfo",
    handle: () => ({ type: "CSIPlugin", name: DRIVER_NAME, endpoint: socket, supportedVersions: ["1.0.0"] }),
  },
  "/pluginregistration.Registration/NotifyRegistrationStatus": {
    request: "RegistrationStatus",
    response: "Empty",
    handle: ({ pluginRegistered, error }) => {
      process.stdout.write(`registered: ${text(pluginRegistered)} ${text(error)}\n`);
      return {};
    },
  },
};

const { root } = protobuf.parse(readFileSync(join(import.meta.dirname, "services.proto"), "utf8"));
await serveGrpc(socket, root, { ...identity, ...controller, ...nodeService });
// The kubelet calls as soon as it sees this socket, so it comes last.
await serveGrpc(registrationSocket, root, registration);
process.stdout.write("serving\n");
