import kafkajs from "kafkajs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { metadataApi } from "../../src/kafka/messages/metadata.ts";
import { saslAuthenticateApi } from "../../src/kafka/messages/sasl-authenticate.ts";
import { saslHandshakeApi } from "../../src/kafka/messages/sasl-handshake.ts";
import { type KafkaPlatform, startKafkaPlatform } from "./kafka-platform.ts";
import { RawClient } from "./raw-client.ts";

const { Kafka, logLevel } = kafkajs;
const TOKEN = "a-token-of-this-cluster";

describe("a cluster with a token", () => {
  let platform: KafkaPlatform;
  beforeAll(async () => {
    platform = await startKafkaPlatform({ rootToken: TOKEN });
  });
  afterAll(async () => {
    await platform.stop();
  });

  function connect(): Promise<RawClient> {
    const [address] = platform.brokers;
    if (address === undefined) throw new Error("the platform has no Kafka port");
    return RawClient.connect(address);
  }

  function plain(user: string, password: string, authorizedAs = ""): Uint8Array {
    return Buffer.from(`${authorizedAs}\0${user}\0${password}`);
  }

  it("lets in a client that shows it by SASL PLAIN", async () => {
    const sasl = { mechanism: "plain", username: "token", password: TOKEN } as const;
    const kafka = new Kafka({ brokers: [platform.bootstrap], sasl, ssl: false, logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    expect(await admin.listTopics()).toEqual([]);
    await admin.disconnect();
  });

  it("ends the connection of a client that asks for anything before it has authenticated", async () => {
    const client = await connect();
    client.send(metadataApi, 9, { topics: null });
    expect(await client.closed()).toBe(0);
  });

  it("says what is wrong with the credentials, and then lets go of the client, as Kafka does", async () => {
    const refused = async (authBytes: Uint8Array) => {
      const client = await connect();
      await client.ask(saslHandshakeApi, 1, { mechanism: "PLAIN" });
      const answer = await client.ask(saslAuthenticateApi, 2, { authBytes });
      await client.closed();
      return answer;
    };
    expect(await refused(plain("token", "wrong"))).toMatchObject({
      errorCode: 58,
      errorMessage: "The token is not this cluster's.",
    });
    expect((await refused(plain("somebody", TOKEN))).errorCode).toBe(58);
    expect((await refused(plain("token", TOKEN, "somebody"))).errorCode).toBe(58);
    expect((await refused(Buffer.from("nonsense"))).errorCode).toBe(58);
  });

  it("wants SaslHandshake before SaslAuthenticate, and a mechanism that it knows", async () => {
    const early = await connect();
    const answer = await early.ask(saslAuthenticateApi, 2, { authBytes: plain("token", TOKEN) });
    expect(answer.errorCode).toBe(34);
    await early.closed();
    const stranger = await connect();
    const unknown = await stranger.ask(saslHandshakeApi, 1, { mechanism: "GSSAPI" });
    expect(unknown).toEqual({ errorCode: 33, mechanisms: ["PLAIN"] });
    await stranger.closed();
  });

  it("takes the bare tokens that follow SaslHandshake version 0", async () => {
    const client = await connect();
    const message = plain("token", TOKEN);
    const length = Buffer.alloc(4);
    length.writeInt32BE(message.length);
    client.send(saslHandshakeApi, 0, { mechanism: "PLAIN" });
    client.sendBytes(Buffer.concat([length, message]));
    client.send(metadataApi, 9, { topics: [] });
    expect((await client.receive(saslHandshakeApi, 0, 1)).errorCode).toBe(0);
    expect(await client.frame()).toHaveLength(0);
    expect((await client.receive(metadataApi, 9, 2)).topics).toEqual([]);
    client.close();
  });

  it("takes no large frame from a client that it does not know", async () => {
    const client = await connect();
    client.sendBytes(Buffer.from("00100000", "hex"));
    expect(await client.closed()).toBe(0);
  });
});
