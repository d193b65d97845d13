package dev.smelt.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.smelt.agent.config.PolicySettings.Mode;
import dev.smelt.agent.control.Journal;
import java.util.Arrays;
import java.util.List;
import java.util.Map.Entry;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class OpenApiIT {

  private static ApiFixture api;
  private static JsonNode document;

  @BeforeAll
  static void start() throws Exception {
    api = ApiFixture.open();
    document = ApiFixture.json(api.get("/openapi.json"));
  }

  @AfterAll
  static void stop() {
    api.close();
  }

  @Test
  void shouldDescribeEveryRouteAndNoOther() {
    Set<String> described = new TreeSet<>();
    document
        .path("paths")
        .properties()
        .forEach(
            path ->
                path.getValue()
                    .fieldNames()
                    .forEachRemaining(method -> described.add(method + " " + path.getKey())));
    assertThat(described).isEqualTo(api.routes());
  }

  @Test
  void shouldServeEveryPathAsItSays() throws Exception {
    for (Entry<String, JsonNode> path : document.path("paths").properties()) {
      String address = path.getKey().replace("{model}", "byte-moe");
      if (path.getValue().has("post")) {
        assertThat(api.post(address, "{}").statusCode()).as(address).isEqualTo(400);
      } else if (!address.endsWith("/events")) {
        JsonNode schema = path.getValue().at("/get/responses/200/content/application~1json/schema");
        check(address, ApiFixture.json(api.get(address)), schema);
      }
    }
  }

  @Test
  void shouldNameEveryModeAndKind() {
    assertThat(constants("/components/schemas/LoopStatus/properties/mode"))
        .isEqualTo(names(Mode.values()));
    assertThat(constants("/components/schemas/JournalEntry/properties/kind"))
        .isEqualTo(names(Journal.Kind.values()));
  }

  /** What a schema requires is there, and what is there is in the schema. */
  private static void check(String at, JsonNode value, JsonNode declared) {
    JsonNode schema =
        declared.has("$ref") ? document.at(declared.path("$ref").asText().substring(1)) : declared;
    if (schema.path("type").asText().equals("array")) {
      value.forEach(item -> check(at + "[]", item, schema.path("items")));
    } else if (schema.has("properties")) {
      schema
          .path("required")
          .forEach(name -> assertThat(value.has(name.asText())).as(at + " " + name).isTrue());
      value
          .properties()
          .forEach(
              field -> {
                JsonNode known = schema.path("properties").path(field.getKey());
                if (!schema.path("additionalProperties").asBoolean(false)) {
                  assertThat(known.isMissingNode()).as(at + " " + field.getKey()).isFalse();
                }
                check(at + "." + field.getKey(), field.getValue(), known);
              });
    } else if (schema.has("enum")) {
      assertThat(schema.path("enum")).as(at).contains(value);
    }
  }

  private static List<String> constants(String pointer) {
    List<String> names = new java.util.ArrayList<>();
    document.at(pointer).path("enum").forEach(name -> names.add(name.asText()));
    return names;
  }

  private static List<String> names(Enum<?>[] constants) {
    return Arrays.stream(constants).map(ApiJson::lowerCase).toList();
  }
}
