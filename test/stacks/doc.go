// Package stacks proves that the stack of each mapping is the right one: Java programs allocate out of every kind of
// stack, tell for each block what the JVM itself says of the stack at that moment, and every traced stack is compared with
// that, frame by frame, with parameters and lines.
package stacks
