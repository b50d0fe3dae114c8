;; Declares its only route twenty million times over.
(func $routes (result i32)
  (local $left i32)
  (drop (memory.grow (i32.const 1000)))
  (local.set $left (i32.const 900000))
  (loop $again
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (memory.copy (i32.add (i32.const 131072) (i32.mul (local.get $left) (i32.const 64))) (i32.const 2048) (i32.const 64))
    (br_if $again (local.get $left)))
  (i32.store (i32.const 8) (i32.const 131072))
  (i32.store (i32.const 12) (i32.const 900000))
  (i32.const 8))
