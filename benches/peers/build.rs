//! Generates the frame for buffa, with its views.

fn main() {
    println!("cargo::rerun-if-changed=proto/pbbp2.proto");
    buffa_build::Config::new()
        .files(&["proto/pbbp2.proto"])
        .includes(&["proto/"])
        .compile()
        .expect("protoc: apt-get install protobuf-compiler libprotobuf-dev");
}
