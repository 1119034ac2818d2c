//! Lists everything that Galen could work on, and says what it would choose and why.
//!
//! ```sh
//! cargo run --release --example devices
//! ```

use galen::Device;

fn main() {
    env_logger::init();
    for choice in Device::choices() {
        let memory = choice.memory.map_or("unknown".into(), mib);
        let mark = if choice.chosen { "→" } else { " " };
        match &choice.adapter {
            Some(a) => {
                println!("{mark} {}", a.name);
                println!("    backend        {}", a.backend);
                println!("    driver         {}", a.driver);
                println!("    kind           {}", a.kind);
                println!("    memory         {}", memory);
                println!("    largest buffer {}, largest binding {}", mib(a.max_buffer), mib(a.max_binding));
                println!(
                    "    workgroups     {} invocations, {} KiB of memory, {} per dimension",
                    a.max_invocations,
                    a.workgroup_memory / 1024,
                    a.max_workgroups
                );
                println!("    storage        {} buffers per dispatch", a.storage_buffers);
            }
            None => {
                println!("{mark} cpu");
                println!("    threads        {}", Device::cpu().map_or(0, |d| d.threads()));
                println!("    memory         {}", memory);
            }
        }
        println!("    {}     {}\n", if choice.chosen { "chosen:   " } else { "not taken:" }, choice.reason);
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
