//! The memory of a loop: its storage, which may differ from that of the samples, and its size.

use crate::edges::random;
use crate::harness::Harness;
use tweedie::gpu::{PlanError, Recording, Shape, Step, Storage, Tensor};
use tweedie::table::StepRow;

pub const TESTS: &[crate::Test] = &[
    ("memory::memory_may_always_be_f32", memory_may_always_be_f32),
    ("memory::a_sample_of_too_many_elements", a_sample_of_too_many_elements),
];

/// Samples of an odd size, and plans of fewer samples, are walked differently. Memory of f32 fits all of them.
fn memory_may_always_be_f32(harness: &Harness) {
    let rows = [StepRow::IDENTITY, StepRow::IDENTITY.looking_back(&[-0.5])];
    let run = |shape: Shape, storage: Storage, memory: Storage| {
        let encoded =
            |seed| harness.gpu.upload("numbers", &storage.encode(&random(seed, 2 * u64::from(shape.elements))));
        let [x, p] = [1, 2].map(encoded);
        let kept = harness.gpu.buffer("memory", 4 * 2 * u64::from(shape.elements));
        let at = |buffer| Tensor::new(buffer, storage);
        let step = Step { memory: Some(Tensor::new(&kept, memory)), ..Step::in_place(&rows, shape, at(&x), at(&p)) };
        let plan = step.plan(&harness.context)?;
        (0..2).for_each(|call| harness.run(&plan, Recording::call(call)));
        Ok(harness.read(&x))
    };
    for storage in [Storage::F16, Storage::Bf16] {
        for elements in [5, 6, 7, 8, 33] {
            let whole = run(Shape::new(2, elements), storage, Storage::F32).expect("f32 fits two samples");
            let first = run(Shape::new(1, elements), storage, Storage::F32).expect("f32 fits one");
            let bytes = elements as usize * 2;
            assert!(whole[..bytes] == first[..bytes], "{storage}, {elements} elements");
        }
        let other = if storage == Storage::F16 { Storage::Bf16 } else { Storage::F16 };
        let refused = |expected, found| Err(PlanError::Memory { expected, found });
        assert_eq!(run(Shape::new(2, 8), storage, other), refused(storage, other));
        assert_eq!(run(Shape::new(2, 5), storage, storage), refused(Storage::F32, storage));
    }
}

/// Kernels count the elements of a sample, slices and remembered clean samples together, in 32 bits.
fn a_sample_of_too_many_elements(harness: &Harness) {
    let buffer = harness.gpu.buffer("tensor", 64);
    let tensor = Tensor::f32(&buffer);
    let error = |step: Step<'_>| step.plan(&harness.context).expect_err("no such buffer");
    let rows = [StepRow::IDENTITY];
    let most = u32::MAX;
    let sliced = Step { slices: 4, ..Step::in_place(&rows, Shape::new(1, 1 << 30), tensor, tensor) };
    assert_eq!(error(sliced), PlanError::SampleSize { tensor: "prediction", most, found: 1 << 32 });
    let deep =
        Step { least_depth: 2, memory: Some(tensor), ..Step::in_place(&rows, Shape::new(1, 1 << 31), tensor, tensor) };
    assert_eq!(error(deep), PlanError::SampleSize { tensor: "memory", most, found: 1 << 32 });
    // A stride that the caller gives does not make kernels count further.
    let strided = Step { prediction: tensor.stride(0), ..sliced };
    assert_eq!(error(strided), PlanError::SampleSize { tensor: "prediction", most, found: 1 << 32 });
}
