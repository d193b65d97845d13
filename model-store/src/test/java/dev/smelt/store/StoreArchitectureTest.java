package dev.smelt.store;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

@AnalyzeClasses(packages = "dev.smelt.store", importOptions = ImportOption.DoNotIncludeTests.class)
class StoreArchitectureTest {

  @ArchTest
  static final ArchRule KNOWS_NO_OTHER_ROOM =
      noClasses()
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.apache.kafka..",
              "org.nd4j..",
              "org.bytedeco..",
              "dev.smelt.agent..",
              "dev.smelt.streams..",
              "dev.smelt.engine..");

  @ArchTest
  static final ArchRule FORMATS_KNOW_NO_STORE =
      noClasses()
          .that()
          .resideInAnyPackage("..safetensors..", "..checkpoint..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("..snapshot..", "..export..", "..http..");

  @ArchTest
  static final ArchRule ONLY_HTTP_KNOWS_VERTX =
      noClasses()
          .that()
          .resideOutsideOfPackage("..http..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.vertx..");
}
