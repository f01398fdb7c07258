import { claviger } from "@claviger/node";

const publish = claviger.createFunction(
  { id: "publish", triggers: [{ event: "test.publish" }], secrets: ["NPM_TOKEN"] },
  async ({ event, secrets }) => ({ package: event.data.package, length: secrets.get("NPM_TOKEN").length }));

await claviger.worker({ functions: [publish] }).start();
