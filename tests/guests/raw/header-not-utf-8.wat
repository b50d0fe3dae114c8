;; Names a header in bytes that are no text.
(func $handle (param i32) (result i32)
  (i32.store (i32.const 4096) (i32.const 4200))
  (i64.store (i32.const 4200) (i64.const -1))
  (i32.store (i32.const 4100) (i32.const 4))
  (i32.store (i32.const 4104) (i32.const 1024))
  (i32.store (i32.const 4108) (i32.const 3))
  (call $respond (i32.const 4096) (i32.const 1) (i32.const 0) (i32.const 0)))
