//! Thousands of small worlds.

use fanfare_sim::simulate;

#[test]
fn a_few() {
    for seed in 0..20 {
        let began = std::time::Instant::now();
        let report = simulate(seed);
        println!(
            "seed {seed}: {} posts, {} violations, {:?}",
            report.posts(),
            report.violations.len(),
            began.elapsed()
        );
        for violation in &report.violations {
            println!("   {violation}");
        }
    }
}
