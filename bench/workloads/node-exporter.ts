/**
 * The series that benchmarks write: targets of a thousand series each, in the shape of node_exporter's under Kubernetes:
 * 9.2 labels a series, of which seven are the target's own; 58 % of the values constant or nearly, 15 % counters of whole
 * numbers, 27 % counters with two decimals. Every run makes the same series and the same values.
 */

import type { Population, SeriesShape } from "./population.ts";

const words = (text: string): readonly string[] => text.split(" ");
const times = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

const MODES = words("idle iowait irq nice softirq steal system user");
const NETWORK_COUNTERS = words(
  "receive_bytes receive_compressed receive_drop receive_errs receive_fifo receive_frame receive_multicast " +
    "receive_packets transmit_bytes transmit_carrier transmit_colls transmit_compressed transmit_drop transmit_errs " +
    "transmit_fifo transmit_packets",
).map((name) => `node_network_${name}_total`);
const NETWORK_STATE = words(
  "address_assign_type carrier carrier_changes_total carrier_down_changes_total carrier_up_changes_total device_id " +
    "dormant flags iface_id iface_link mtu_bytes net_dev_group speed_bytes transmit_queue_length",
).map((name) => `node_network_${name}`);
const DISK = words(
  "reads_completed_total reads_merged_total read_bytes_total read_time_seconds_total writes_completed_total " +
    "writes_merged_total written_bytes_total write_time_seconds_total io_now io_time_seconds_total " +
    "io_time_weighted_seconds_total discards_completed_total discards_merged_total discarded_sectors_total " +
    "discard_time_seconds_total",
).map((name) => `node_disk_${name}`);
const FILESYSTEM = words("avail_bytes device_error files files_free free_bytes readonly size_bytes").map(
  (name) => `node_filesystem_${name}`,
);
const MEMORY = words(
  "MemTotal MemFree Buffers Cached SwapCached Active Inactive Dirty Writeback AnonPages Mapped Shmem Slab SReclaimable " +
    "SUnreclaim KernelStack PageTables CommitLimit Committed_AS VmallocUsed HardwareCorrupted AnonHugePages " +
    "HugePages_Total HugePages_Free",
).map((name) => `node_memory_${name}`);

const SERIES_PER_TARGET = 1000;

function* shapes(): Generator<SeriesShape> {
  const cpu = (i: number) => ({ __name__: "node_cpu_seconds_total", cpu: String(i) });
  for (const i of times(32)) for (const mode of MODES) yield { labels: { ...cpu(i), mode }, kind: "seconds" };

  const devices = times(8).map((i) => (i < 4 ? `eth${i}` : `veth${(0x1a2b3c * (i + 7)).toString(16).slice(0, 8)}`));
  for (const name of [...NETWORK_COUNTERS, ...NETWORK_STATE])
    for (const device of devices)
      yield {
        labels: { __name__: name, device },
        kind: /bytes_total|packets/.test(name) ? "counter" : "constant",
      };

  for (const name of DISK)
    for (const i of times(10)) {
      const busy = name.includes("seconds") ? "seconds" : "counter";
      yield { labels: { __name__: name, device: `nvme${i}n1` }, kind: i < 3 ? busy : "constant" };
    }

  for (const name of FILESYSTEM)
    for (const i of times(15))
      yield {
        labels: {
          __name__: name,
          device: `/dev/mapper/vg0-lv${i}`,
          fstype: i % 3 === 0 ? "xfs" : "ext4",
          mountpoint: `/var/lib/kubelet/pods/volume-${i}`,
        },
        kind: i < 4 && name.includes("avail") ? "counter" : "constant",
      };

  for (let i = 0; ; i++) {
    const name = `${MEMORY[i % MEMORY.length]}_${Math.floor(i / MEMORY.length)}_bytes`;
    yield { labels: { __name__: name }, kind: i % 3 === 0 ? "counter" : "constant" };
  }
}

export const nodeExporter: Population = {
  series: [...shapes().take(SERIES_PER_TARGET)],
  targetLabels: (target) => ({
    cluster: "prod-eu-west-1",
    container: "node-exporter",
    endpoint: "metrics",
    instance: `10.32.${100 + Math.floor(target / 100)}.${100 + (target % 100)}:9100`,
    job: "node-exporter",
    namespace: "monitoring",
    pod: `node-exporter-${(Math.imul(target + 1, 0x9e3779b1) >>> 0).toString(36).padStart(7, "a")}`,
  }),
};
