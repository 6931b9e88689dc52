/** What the tests use of snappyjs, which brings no types. */
declare module "snappyjs" {
  const snappy: {
    compress(bytes: Uint8Array): Uint8Array;
    uncompress(bytes: Uint8Array): Uint8Array;
  };
  export default snappy;
}
