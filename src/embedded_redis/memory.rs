//! The default memory limit of the private Redis.

use bytesize::ByteSize;
use sysinfo::{MemoryRefreshKind, System};

/// Three quarters of the memory of the machine or of the limit of the control group (cgroup) of this process,
/// whichever is less. The rest is for the service, and for a rewrite of the append-only file.
pub(super) fn three_quarters() -> ByteSize {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let limit = system.cgroup_limits().map(|limits| limits.total_memory);
    let total = limit.into_iter().chain([system.total_memory()]).min();
    ByteSize(total.unwrap_or_default() / 4 * 3)
}
