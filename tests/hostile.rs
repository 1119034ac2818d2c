//! Files that were made to do harm, and machines that fail: each has one right outcome, which is an error that says what is wrong, or a
//! result that is whole. Nothing hangs, ends the process, or takes more memory than the file's size accounts for.

#[path = "hostile/children.rs"]
mod children;
mod common;
#[path = "hostile/disks.rs"]
mod disks;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/machines.rs"]
mod machines;
#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/networks.rs"]
mod networks;
#[path = "hostile/processes.rs"]
mod processes;
#[path = "hostile/tables.rs"]
mod tables;
