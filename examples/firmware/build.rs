//! Chooses the memory map: that of `BOARD`, by default that of the machine that `.cargo/config.toml` runs the
//! target on.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=BOARD");
    let target = env::var("TARGET").expect("cargo sets it");
    let board = env::var("BOARD").unwrap_or_else(|_| {
        let boards = [
            ("thumbv7em", "stm32f405"),
            ("thumbv7m", "mps2"),
            ("thumbv6m", "nrf51"),
            ("riscv32", "riscv-virt"),
        ];
        let board = boards.iter().find(|(start, _)| target.starts_with(start));
        board.expect("a target for which there is a board in .cargo/config.toml").1.into()
    });
    let map = format!("boards/{board}.x");
    println!("cargo:rerun-if-changed={map}");
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::copy(&map, Path::new(&out).join("memory.x")).unwrap_or_else(|e| panic!("{map}: {e}"));
    println!("cargo:rustc-link-search={out}");
    if target.starts_with("riscv") {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
}
